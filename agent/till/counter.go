package till

import (
	"context"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/drivers"
)

// displayPatience is how long showing something may take; a display is never
// worth waiting for.
const displayPatience = 2 * time.Second

// ReadCards takes what a reader reads until its channel is closed or ctx is
// done. Each reading greets the customer: first from the cache, at once, then
// with the centre's answer where there is one.
func (t *Till) ReadCards(ctx context.Context, reader drivers.Reader) error {
	for {
		select {
		case s, ok := <-reader.Scans():
			if !ok {
				return nil
			}
			t.scanned(ctx, s)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *Till) scanned(ctx context.Context, s drivers.Scan) {
	t.metrics.scan()
	text := s.Card
	if text == "" {
		text = s.Text
	}
	t.events.send(Event{Type: "card", Device: s.Reader})
	cu, err := t.identify(ctx, text, "", "scan", false)
	if err != nil {
		t.c.Log.Info("reading is no card", "scan", s, "error", err)
		return
	}
	t.greet(cu)
	rules := t.c.Rules()
	a := t.view(cu, rules)
	if t.c.Link.Online() {
		if fresh, err := t.identify(ctx, text, "", "scan", true); err == nil {
			a = t.view(fresh, rules)
			if fresh.known != cu.known || balance(fresh) != balance(cu) {
				t.greet(fresh)
			}
		}
	}
	t.c.Log.Info("card read", "scan", s, "known", a.Known, "mode", a.Mode)
	t.events.identified(&a)
}

// balance is the sum a display shows: the member's first wallet.
func balance(cu *customer) loyalty.Points {
	first, found := "", false
	for w := range cu.member.Wallets {
		if !found || w < first {
			first, found = w, true
		}
	}
	return cu.member.Wallets[first].Active
}

// greet shows the customer that the card was taken.
func (t *Till) greet(cu *customer) {
	t.show(func(columns int) receipt.Two {
		return receipt.Greeting(t.lang(cu), cu.member.FirstName, cu.known, balance(cu), columns)
	})
}

// lang is the language of the customer, or the till's.
func (t *Till) lang(cu *customer) string {
	if cu != nil {
		switch cu.member.Language {
		case "en", "ru", "pl":
			return cu.member.Language
		}
	}
	return t.c.Language
}

func earned(r *loyalty.Result) (p loyalty.Points) {
	for _, e := range r.Earned {
		p += e.Points
	}
	return p
}

// showSale shows what is to pay.
func (t *Till) showSale(p *priced) {
	t.show(func(columns int) receipt.Two {
		return receipt.Sale(t.lang(p.cu), p.result.Totals.Net, earned(p.result), columns)
	})
}

// farewell is shown when the receipt is closed.
func (t *Till) farewell(p *priced) {
	t.show(func(columns int) receipt.Two {
		return receipt.Farewell(t.lang(p.cu), earned(p.result), p.credited(), columns)
	})
}

// show puts two lines on the display, if there is one. The newest text wins:
// one that waits is replaced.
func (t *Till) show(f func(columns int) receipt.Two) {
	d := t.c.Devices.Display()
	if d == nil {
		return
	}
	columns, _ := d.Size()
	if columns <= 0 {
		columns = 20
	}
	two := f(columns)
	for {
		select {
		case t.texts <- two:
			return
		default:
		}
		select {
		case <-t.texts:
		default:
		}
	}
}

// RunDisplay writes to the display until ctx is done, so that no sale waits
// for a slow line.
func (t *Till) RunDisplay(ctx context.Context) error {
	for {
		select {
		case two := <-t.texts:
			d := t.c.Devices.Display()
			if d == nil {
				continue
			}
			one, cancel := context.WithTimeout(ctx, displayPatience)
			if err := d.Show(one, two.Top, two.Bottom); err != nil && ctx.Err() == nil {
				t.c.Log.Debug("display", "error", err)
			}
			cancel()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
