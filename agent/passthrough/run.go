package passthrough

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/drivers/follow"
	"github.com/tillside/tillside/drivers/relay"
)

// Config is what reading along needs. All fields are required but those with a
// default.
type Config struct {
	Folder string // data folder, where the relay's door and our own file are
	Till   Counter
	// Follow makes a follower of the till's protocol.
	Follow func() (follow.Follower, error)
	Card   time.Duration // how long a card counts
	Goods  string        // file; empty: none
	Health *health.Tracker
	Log    *slog.Logger     // nil: nobody
	Now    func() time.Time // nil: time.Now
	// Again is the pause between tries to reach the relay; 0: 1 s.
	Again time.Duration
}

// Passthrough reads along with one till.
type Passthrough struct {
	c Config
	d *desk
}

// New checks what can be checked without the relay.
func New(c Config) (*Passthrough, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Again == 0 {
		c.Again = time.Second
	}
	if _, err := c.Follow(); err != nil {
		return nil, err
	}
	goods, err := OpenGoods(c.Goods)
	if err != nil {
		c.Log.Error("names stand for SKUs until the file is mended", "error", err)
	}
	open, err := loadOpen(c.Folder)
	if err != nil {
		c.Log.Error("open receipts are not known", "error", err)
	}
	return &Passthrough{c, &desk{c: c, goods: goods, health: c.Health, log: c.Log, open: open}}, nil
}

// Run attaches to the relay, again and again, until ctx is done.
func (p *Passthrough) Run(ctx context.Context) error {
	p.d.ctx = ctx
	p.d.settleAll()
	came := make(chan struct{}, 1) // a customer came or went
	p.c.Till.WatchCustomer(func() {
		select {
		case came <- struct{}{}:
		default:
		}
	})
	told := ""
	for ctx.Err() == nil {
		err := p.stay(ctx, came)
		if ctx.Err() != nil {
			break
		}
		p.c.Health.Raise(health.RelayAway, "", err.Error())
		if err.Error() != told {
			told = err.Error()
			p.c.Log.Warn("relay", "error", err)
		}
		p.d.settleAll()
		t := time.NewTimer(p.c.Again)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
	return ctx.Err()
}

// stay is one stay with the relay.
func (p *Passthrough) stay(ctx context.Context, came <-chan struct{}) error {
	dial, cancel := context.WithTimeout(ctx, 2*time.Second)
	c, err := relay.Find(dial, p.c.Folder)
	cancel()
	if err != nil {
		return err
	}
	f, err := p.c.Follow()
	if err != nil {
		c.Close()
		return err
	}
	p.c.Health.Clear(health.RelayAway, "")
	p.c.Log.Info("attached to the relay")
	s := follow.NewSession(c, f, p.d)
	s.Now = p.c.Now
	inner, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.Run(inner) }()
	look := time.NewTicker(5 * time.Second)
	defer look.Stop()
	wanted := false
	for {
		// Only for somebody who stands at the till is a close held back.
		if want := p.d.customer() != ""; want != wanted {
			if err := s.Want(want); err != nil {
				stop()
				return errors.Join(err, <-done)
			}
			wanted = want
		}
		select {
		case err := <-done:
			return err
		case <-came:
		case <-look.C:
			p.d.settleAll()
		}
	}
}
