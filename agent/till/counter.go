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

// scanBody is what a helper in the cashier's session has read. The text is the
// keys' own, with the key that ended it; none says that the helper is there.
type scanBody struct {
	Reader string `json:"reader,omitempty"` // name of the device; empty: the only one
	Data   string `json:"data,omitempty"`
}

// ScanAnswer is the reader that took a reading.
type ScanAnswer struct {
	Reader string `json:"reader"`
	State  string `json:"state"` // ok, or the driver's code
}

// Feeder is Devices with keyboard scanners in the cashier's session.
type Feeder interface {
	// Feed gives a reader, by name or the only one, what was read in the
	// session. ok is false when there is no such reader.
	Feed(reader string, data []byte) (state DeviceState, ok bool)
}

// maxScan bounds a reading with room for a full QR code.
const maxScan = 16 << 10

func (t *Till) feed(b *scanBody) (*ScanAnswer, error) {
	if len(b.Data) > maxScan {
		return nil, refuse("bad_request", "no reading is that long").at("data")
	}
	f, ok := t.c.Devices.(Feeder)
	if !ok {
		return nil, refuse("no_reader", b.Reader)
	}
	st, ok := f.Feed(b.Reader, []byte(b.Data))
	if !ok {
		return nil, refuse("no_reader", b.Reader)
	}
	return &ScanAnswer{Reader: st.Name, State: st.State}, nil
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
	t.show(greetingStays, func(s receipt.Screen) receipt.Two {
		return s.Greeting(t.lang(cu), cu.member.FirstName, cu.known, balance(cu))
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
	t.show(saleStays, func(s receipt.Screen) receipt.Two {
		return s.Sale(t.lang(p.cu), p.result.Totals.Net, p.points(), earned(p.result))
	})
}

// farewell is shown when the receipt is closed.
func (t *Till) farewell(p *priced) {
	t.show(farewellStays, func(s receipt.Screen) receipt.Two {
		return s.Farewell(t.lang(p.cu), earned(p.result), p.credited())
	})
}

// How long a text stands when nothing follows it. A basket may wait for a
// customer who runs back for milk; a farewell is for the one who goes.
const (
	greetingStays = time.Minute
	saleStays     = 5 * time.Minute
	farewellStays = 8 * time.Second
)

// shown is a text for the display and how long it stands.
type shown struct {
	receipt.Two
	stays time.Duration
}

// Screen is what texts for a display are made for.
func Screen(d drivers.Display) receipt.Screen {
	s := receipt.Screen{}
	if s.Columns, _ = d.Size(); s.Columns <= 0 {
		s.Columns = 20
	}
	if a, ok := drivers.As[drivers.Typesetter](d); ok {
		s.Spell = a.Spell
	}
	if a, ok := drivers.As[drivers.Scroller](d); ok {
		s.Scrolls = a.Scrolls()
	}
	return s
}

// show puts two lines on the display, if there is one. The newest text wins:
// one that waits is replaced.
func (t *Till) show(stays time.Duration, f func(receipt.Screen) receipt.Two) {
	d := t.c.Devices.Display()
	if d == nil {
		return
	}
	next := shown{f(Screen(d)), stays}
	for {
		select {
		case t.texts <- next:
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
// for a slow line. When a text has stood its time the shop's own comes back.
func (t *Till) RunDisplay(ctx context.Context) error {
	idle := time.NewTimer(0)
	defer idle.Stop()
	for {
		var next shown
		select {
		case next = <-t.texts:
			idle.Reset(next.stays)
		case <-idle.C:
			if d := t.c.Devices.Display(); d != nil && len(t.c.Idle) > 0 {
				next.Two = Screen(d).Idle(t.c.Idle)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		d := t.c.Devices.Display()
		if d == nil {
			continue
		}
		one, cancel := context.WithTimeout(ctx, displayPatience)
		if err := d.Show(one, next.Top, next.Bottom); err != nil && ctx.Err() == nil {
			t.c.Log.Debug("display", "error", err)
			if next.stays == 0 {
				idle.Reset(displayPatience) // the shop's text is worth another try
			}
		}
		cancel()
	}
}
