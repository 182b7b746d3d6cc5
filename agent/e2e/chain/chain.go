// Package chain is a chain of shops in one process: the real centre and real
// agents, each with its own folder, settings, enrolment, local API and cable
// to head office, on a clock that belongs to the story. Nothing is printed:
// for devices see package world, which runs the programs themselves.
//
//	cash.Till ──HTTP── agent.Agent ══linktest.Proxy══ central.Server
//
// A Chain belongs to one goroutine.
package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/e2e/cash"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/linktest"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/wire"
)

// Clock is the story's time. It stands still unless moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at a moment.
func NewClock(at time.Time) *Clock { return &Clock{now: at} }

// Now is the story's time.
func (c *Clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

// Set moves the clock on; it never goes back.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.After(c.now) {
		c.now = at
	}
}

// Add moves the clock on by d.
func (c *Clock) Add(d time.Duration) { c.Set(c.Now().Add(d)) }

// Patience is how long something that must come is waited for.
const Patience = 30 * time.Second

// Chain is a centre and its tills.
type Chain struct {
	Dir    string
	Clock  *Clock
	Centre *central.Server
	Tills  []*Till
	Log    *slog.Logger
	// Settings, when set, changes the settings of a till before it starts.
	Settings func(t *Till, s *configs.Agent)
	// AskBudget is how long a till waits for an answer; 800 ms when zero.
	AskBudget time.Duration
	// ReadLimit is the silence after which a till gives a line up; 2 s when zero.
	ReadLimit time.Duration

	listen string
}

// New starts a centre in dir. log may be nil.
func New(dir string, clock *Clock, log *slog.Logger) (*Chain, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Chain{Dir: dir, Clock: clock, Log: log, listen: "127.0.0.1:0"}
	return c, c.StartCentre()
}

// StartCentre starts the centre, or starts it again after CloseCentre.
func (c *Chain) StartCentre() error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	dir := filepath.Join(c.Dir, "centre")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	s, err := central.Open(ctx, central.Config{Dir: dir, Listen: c.listen, Version: "test", Zone: time.UTC, Poll: 10 * time.Millisecond, Log: c.Log, Now: c.Clock.Now,
		Timing: hub.Timing{Ping: 200 * time.Millisecond, Probe: 300 * time.Millisecond, Busy: 20 * time.Millisecond, FeedRetry: 50 * time.Millisecond, Gather: 2 * time.Millisecond}})
	if err != nil {
		return err
	}
	c.Centre, c.listen = s, s.Address()
	return nil
}

// CloseCentre stops the centre.
func (c *Chain) CloseCentre() error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	err := c.Centre.Close(ctx)
	c.Centre = nil
	return err
}

// Write changes the centre's database.
func (c *Chain) Write(fn func(tx *db.Tx) error) error {
	return c.Centre.DB().Write(context.Background(), fn)
}

// Read looks at the centre's database.
func (c *Chain) Read(fn func(tx *db.Tx) error) error {
	return c.Centre.DB().Read(context.Background(), fn)
}

// Publish signs and publishes a rulebook.
func (c *Chain) Publish(doc []byte) error {
	key, err := keys.Load(central.KeyFile(filepath.Join(c.Dir, "centre")))
	if err != nil {
		return err
	}
	engine := central.NewEngine(c.Centre.DB())
	return c.Write(func(tx *db.Tx) error {
		_, _, err := rulebook.Publish(tx, doc, "", 0, key, c.Clock.Now(), engine.Check)
		return err
	})
}

// AddMember makes a member with a card and, when it is not empty, a phone.
func (c *Chain) AddMember(name, card, phone string) (id loyalty.MemberID, err error) {
	err = c.Write(func(tx *db.Tx) error {
		room := c.Centre.Members()
		if id, err = room.Add(tx, members.Person{FirstName: name, Language: "en"}); err != nil {
			return err
		}
		if err := room.AddCard(tx, id, wire.KindCard, card, "", "active"); err != nil || phone == "" {
			return err
		}
		return room.AddCard(tx, id, wire.KindPhone, phone, "", "active")
	})
	return id, err
}

// Give gives points.
func (c *Chain) Give(id loyalty.MemberID, points loyalty.Points) error {
	return c.Write(func(tx *db.Tx) error {
		_, err := c.Centre.Ledger().AdjustBy(tx, id, "points", points, "", "")
		return err
	})
}

// Balance is what the ledger has of a member.
func (c *Chain) Balance(id loyalty.MemberID) (b ledger.Balance, err error) {
	err = c.Read(func(tx *db.Tx) error {
		all, err := ledger.Balances(tx, id)
		b = all["points"]
		return err
	})
	return b, err
}

// Verify recomputes the ledger; an error tells the first thing that is wrong.
func (c *Chain) Verify() error {
	return c.Read(func(tx *db.Tx) error {
		r, err := ledger.Verify(tx)
		if err == nil && !r.OK() {
			err = errors.New(r.Problems[0])
		}
		return err
	})
}

// Till is one till of the chain.
type Till struct {
	Store, Name string
	Dir         string
	Link        *linktest.Proxy
	Cash        *cash.Till
	Agent       *agent.Agent // nil while it is stopped
	// StoreListen is where the other tills of the store find it; taken from
	// its first run and kept.
	StoreListen string

	c    *Chain
	stop context.CancelFunc
	done chan error
}

// AddTill enrols a till and starts it.
func (c *Chain) AddTill(store, name string) (*Till, error) {
	t := &Till{Store: store, Name: name, Dir: filepath.Join(c.Dir, store+"-"+name), c: c}
	if err := os.MkdirAll(t.Dir, 0o700); err != nil {
		return nil, err
	}
	var code string
	err := c.Write(func(tx *db.Tx) (err error) {
		code, _, err = fleet.NewCode(tx, store, name, c.Clock.Now(), nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	if t.Link, err = linktest.Listen(c.Centre.Address()); err != nil {
		return nil, err
	}
	if _, err = agent.Enrol(context.Background(), agent.Enrolment{Dir: t.Dir, Server: "http://" + t.Link.Addr(), Code: code, Version: "test"}); err != nil {
		return nil, err
	}
	token, err := till.OpenPrograms(t.Dir).Add("cash", 1, c.Clock.Now())
	if err != nil {
		return nil, err
	}
	t.Cash = &cash.Till{Token: token, Patience: Patience, Address: func() string { return t.Agent.Addr().String() }}
	c.Tills = append(c.Tills, t)
	return t, t.Start()
}

// Start starts the agent on its folder.
func (t *Till) Start() error {
	s := configs.DefaultAgent()
	s.Data, s.API.Listen = t.Dir, "127.0.0.1:0"
	if t.c.AskBudget > 0 {
		s.Centre.Budget = configs.Duration(t.c.AskBudget)
	}
	if t.c.Settings != nil {
		t.c.Settings(t, &s)
	}
	limit := t.c.ReadLimit
	if limit == 0 {
		limit = 2 * time.Second
	}
	a, err := agent.Open(agent.Options{Settings: s, Version: "test", Registry: drivers.NewRegistry(), Log: t.c.Log.With("till", t.Store+"/"+t.Name), Now: t.c.Clock.Now,
		Timing: uplink.Timing{Ping: 200 * time.Millisecond, ReadLimit: limit, RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond,
			Ack: time.Millisecond, Feed: 20 * time.Millisecond, AskBudget: t.c.AskBudget}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.StoreListen = a.StoreAddr()
	t.Agent, t.stop, t.done = a, cancel, make(chan error, 1)
	go func() { t.done <- a.Run(ctx) }()
	return nil
}

// Stop ends the agent cleanly.
func (t *Till) Stop() error {
	if t.Agent == nil {
		return nil
	}
	t.stop()
	<-t.done // its error is that of the context
	err := t.Agent.Close()
	t.Agent = nil
	return err
}

// Online tells whether the centre has a session with the till.
func (t *Till) Online() bool {
	return t.Agent != nil && t.c.Centre != nil && slices.Contains(t.c.Centre.Online(), t.Agent.Identity().Device) && t.Agent.Online()
}

// Cut cuts the cable and waits until both ends know it.
func (t *Till) Cut() error {
	t.Link.Cut()
	return Until(func() (bool, error) {
		gone := t.c.Centre == nil || !slices.Contains(t.c.Centre.Online(), t.Agent.Identity().Device)
		return gone && !t.Agent.Online(), nil
	})
}

// Heal mends the cable and waits until the till is in touch.
func (t *Till) Heal() error {
	t.Link.Heal()
	return Until(func() (bool, error) { return t.Online(), nil })
}

// Settle waits until every connected till has sent all and been told all: the
// centre has each record, and nothing is on its way down.
func (c *Chain) Settle() error {
	quiet := 0
	var before [2]int64
	return Until(func() (bool, error) {
		for _, t := range c.Tills {
			if t.Online() {
				if t.Agent.Queued() > 0 {
					quiet = 0
					return false, nil
				}
			}
		}
		var now [2]int64
		err := c.Read(func(tx *db.Tx) (err error) {
			if now[0], err = tx.Counter("feed"); err == nil {
				now[1], err = tx.Counter("lease")
			}
			return err
		})
		if err != nil || now != before || c.Centre.Lent() < c.newest() || !c.fed() {
			quiet, before = 0, now
			return false, err
		}
		quiet++
		return quiet > 5, nil
	})
}

// newest is the last number of the feed that is not overtaken: the leases
// follow only those.
func (c *Chain) newest() (n int64) {
	_ = c.Read(func(tx *db.Tx) error {
		_, err := tx.Row(`SELECT COALESCE(MAX(n), 0) FROM feed`, nil, &n)
		return err
	})
	return n
}

// fed tells whether every connected till has applied the newest of the lanes
// that matter here.
func (c *Chain) fed() bool {
	for _, t := range c.Tills {
		if !t.Online() {
			continue
		}
		for lane, counter := range map[wire.Lane]string{wire.LaneMember: "feed", wire.LaneLease: "lease", wire.LaneRulebook: "bundle"} {
			var head int64
			if c.Read(func(tx *db.Tx) (err error) { head, err = tx.Counter(counter); return err }) != nil {
				return false
			}
			if at, err := t.Agent.Cursor(lane); err != nil || int64(at) < head {
				return false
			}
		}
	}
	return true
}

// Close stops everything, tills first.
func (c *Chain) Close() error {
	var errs []error
	for _, t := range c.Tills {
		errs = append(errs, t.Stop(), t.Link.Close())
	}
	if c.Centre != nil {
		errs = append(errs, c.CloseCentre())
	}
	for i, err := range errs {
		if errors.Is(err, net.ErrClosed) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

// ErrPatience is returned when what must come does not come.
var ErrPatience = errors.New("it did not happen in time")

// Until asks until the answer is yes, an error, or too late.
func Until(ask func() (bool, error)) error {
	end := time.Now().Add(Patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := ask()
		if ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%w: waited %s", ErrPatience, Patience)
		}
		<-tick.C
	}
}
