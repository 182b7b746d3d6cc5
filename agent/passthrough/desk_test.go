package passthrough

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/follow"
	"github.com/tillside/tillside/drivers/relay"
)

// counter writes down what it is asked. The real till is asked in
// agent/cmd/tillside and agent/passthrough's end-to-end tests; here it is the
// order of the calls that matters, and what happens when one is refused.
type counter struct {
	calls  []string
	bodies map[string]string
	answer map[string]int // by call: status
	member string
	since  time.Time
	net    string
	told   []string
}

func (c *counter) Inside(_ context.Context, in till.Inside) (int, []byte) {
	c.calls = append(c.calls, in.Call)
	if c.bodies == nil {
		c.bodies = map[string]string{}
	}
	c.bodies[in.Call] = string(in.Body)
	if s := c.answer[in.Call]; s != 0 {
		return s, []byte(`{"error":{"code":"busy","message":"not now"}}`)
	}
	return 200, []byte(fmt.Sprintf(`{"totals":{"gross":"5.00","discount":"0.00","redeemed":"0.00","net":%q}}`, c.net))
}
func (c *counter) Customer() (string, time.Time) { return c.member, c.since }
func (c *counter) CustomerDone(token string) {
	if c.member == token {
		c.member = ""
	}
}
func (c *counter) WatchCustomer(func()) {}
func (c *counter) Lines(context.Context, string, receipt.Paper) ([]drivers.Block, error) {
	return []drivers.Block{drivers.Text{Text: "5 points"}}, nil
}
func (c *counter) TellPassthrough(text string) { c.told = append(c.told, text) }

func (c *counter) did() string { s := strings.Join(c.calls, " "); c.calls = nil; return s }

var now = time.Date(2026, 3, 2, 17, 5, 0, 0, time.UTC)

func newDesk(t *testing.T, c *counter, folder string) *desk {
	t.Helper()
	c.net, c.since = "5.00", now
	p, err := New(Config{Folder: folder, Till: c, Card: time.Minute, Health: &health.Tracker{Now: func() time.Time { return now }}, Now: func() time.Time { return now },
		Follow: func() (follow.Follower, error) { return follow.NewShtrih(follow.ShtrihSettings{}), nil }})
	if err != nil {
		t.Fatal(err)
	}
	p.d.ctx = context.Background()
	return p.d
}

func tea() *follow.Receipt {
	return &follow.Receipt{Lines: []follow.Line{{Name: "Green  Tea", Quantity: 1500, Price: 400, Amount: 600, Discount: 100}}, Total: 500, Totalled: true,
		Payments: []follow.Payment{{Kind: "cash", Amount: 500}}, Number: "77"}
}

func says(k follow.Kind) follow.Event {
	return follow.Event{Kind: k, Receipt: tea(), Columns: 32, Text: "why"}
}

func raised(d *desk) (s string) {
	for _, w := range d.health.Current() {
		s += w.Code + " "
	}
	return strings.TrimSpace(s)
}

func TestStoriesOfReceipts(t *testing.T) {
	type step any // an event, an outcome, "lines", or a function
	for _, c := range []struct {
		name   string
		member string
		answer map[string]int
		steps  []step
		calls  string
		warns  string
		stays  bool // the customer
	}{
		{"a stranger", "", nil, []step{says(follow.Opened), says(follow.Totalled), "no lines", says(follow.Closed)}, "capture", "", false},
		{"a member", "m", nil, []step{says(follow.Opened), says(follow.Totalled), says(follow.Totalled), "lines", follow.AllAdded, says(follow.Closed)}, "authorise capture", "", false},
		{"closed before the outcome", "m", nil, []step{says(follow.Opened), says(follow.Totalled), "lines", says(follow.Closed), follow.AllAdded}, "authorise capture", "", false},
		{"closed twice: lines once", "m", nil, []step{says(follow.Opened), "lines", follow.AllAdded, says(follow.Changed), "no lines", says(follow.Closed)}, "authorise capture", "", false},
		{"late, then in time", "m", nil, []step{says(follow.Opened), "lines", follow.TooLate, "lines", follow.AllAdded, says(follow.Closed)}, "authorise capture", "", false},
		{"late", "m", nil, []step{says(follow.Opened), "lines", follow.TooLate, says(follow.Closed)}, "authorise capture", "passthrough_late", false},
		{"cancelled", "m", nil, []step{says(follow.Opened), says(follow.Totalled), says(follow.Cancelled)}, "authorise void", "", true},
		{"cancelled after its lines", "m", nil, []step{says(follow.Opened), "lines", follow.AllAdded, says(follow.Cancelled)}, "authorise void", "", true},
		{"lost", "m", nil, []step{says(follow.Opened), says(follow.Totalled), says(follow.Lost)}, "authorise void", "passthrough_unread", true},
		{"lost after its lines", "m", nil, []step{says(follow.Opened), "lines", follow.AllAdded, says(follow.Lost)}, "authorise capture", "passthrough_unread", false},
		{"lost before anything", "", nil, []step{says(follow.Lost)}, "", "passthrough_unread", false},
		{"another began", "m", nil, []step{says(follow.Opened), says(follow.Totalled), says(follow.Opened)}, "authorise void", "", true},
		{"another began after lines", "m", nil, []step{says(follow.Opened), "lines", follow.AllAdded, says(follow.Opened)}, "authorise capture", "", true},
		{"no authorisation", "m", map[string]int{"authorise": 409}, []step{says(follow.Opened), "no lines", says(follow.Closed)}, "authorise capture", "", false},
		{"not booked", "m", map[string]int{"capture": 422}, []step{says(follow.Opened), "lines", says(follow.Closed)}, "authorise capture", "passthrough_refused", true},
		{"card after the total", "", nil, []step{says(follow.Opened), says(follow.Totalled), func(c *counter) { c.member = "late" }, says(follow.Closed)}, "capture", "", false},
		{"a card of long ago", "m", nil, []step{func(c *counter) { c.since = now.Add(-time.Hour) }, says(follow.Opened), "no lines", says(follow.Closed)}, "capture", "", true},
		{"a price that moved", "m", nil, []step{func(c *counter) { c.net = "4.00" }, says(follow.Opened), "no lines", says(follow.Closed)}, "authorise capture", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &counter{member: c.member, answer: c.answer}
			d := newDesk(t, k, t.TempDir())
			for _, s := range c.steps {
				switch s := s.(type) {
				case follow.Event:
					d.Heard(s)
				case follow.Outcome:
					d.Added(s)
				case func(*counter):
					s(k)
				case string:
					if got := len(d.Lines(says(follow.Closing))) > 0; got != (s == "lines") {
						t.Errorf("lines: %v, want %q", got, s)
					}
				}
			}
			if got := k.did(); got != c.calls {
				t.Errorf("asked %q, want %q", got, c.calls)
			}
			if got := raised(d); got != c.warns {
				t.Errorf("warned %q, want %q", got, c.warns)
			}
			if (k.member != "") != c.stays {
				t.Errorf("customer %q, want her to stay: %v", k.member, c.stays)
			}
		})
	}
}

// TestPricesAreTheTills: the floor of each line stands above its price, what
// the till took off is told as such.
func TestPricesAreTheTills(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "goods")
	if err := os.WriteFile(file, []byte("# names\ngreen tea ; 1001 ; food/tea\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	goods, err := OpenGoods(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(basketOf(tea(), "m", goods))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"member":"m","lines":[{"sku":"1001","name":"Green  Tea","category":"food/tea","quantity":"1.500","price":"4.00","amount":"6.00","discount":"1.00","min_price":"14.00"}],"tenders":[{"kind":"cash","amount":"5.00"}]}`
	if string(b) != want {
		t.Errorf("%s\nwant\n%s", b, want)
	}
	r := tea()
	r.Lines[0].Discount = -100
	if b := basketOf(r, "", nil); b.Lines[0].Amount != "7.00" || b.Lines[0].Discount != "" || b.Lines[0].SKU != "green tea" {
		t.Errorf("a surcharge: %+v", b.Lines[0])
	}
	for _, bad := range []string{"tea", "tea;", ";1", "a;b;c;d;e"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenGoods(file); err == nil || !strings.Contains(err.Error(), ":1:") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, ok := goods.find("", "green tea"); !ok {
		t.Error("a file that has become bad is not left in force")
	}
}

// TestSettledByTheNextStart: what an agent left in the middle.
func TestSettledByTheNextStart(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines bool
		calls string
	}{{"without lines", false, "void"}, {"with lines", true, "capture"}} {
		dir := t.TempDir()
		k := &counter{member: "m"}
		d := newDesk(t, k, dir)
		d.Heard(says(follow.Opened))
		d.Heard(says(follow.Totalled))
		if c.lines && len(d.Lines(says(follow.Closing))) == 0 {
			t.Fatal("no lines")
		}
		k.did()
		again := newDesk(t, k, dir) // the agent was killed
		again.settleAll()
		if got := k.did(); got != c.calls {
			t.Errorf("%s: asked %q, want %q", c.name, got, c.calls)
		}
		if c.lines && !strings.Contains(k.bodies["capture"], `"fiscal_number":"77"`) {
			t.Errorf("capture: %s", k.bodies["capture"])
		}
		again.settleAll()
		if got := k.did(); got != "" {
			t.Errorf("%s: settled twice: %q", c.name, got)
		}
	}
}

// TestBusyTillIsAskedAgain: a disk that is full now is not a receipt lost.
func TestBusyTillIsAskedAgain(t *testing.T) {
	dir := t.TempDir()
	k := &counter{member: "m", answer: map[string]int{"capture": 503}}
	d := newDesk(t, k, dir)
	d.Heard(says(follow.Opened))
	d.Heard(says(follow.Totalled))
	d.Heard(says(follow.Closed))
	d.settleAll()
	k.answer = nil
	d.settleAll()
	d.settleAll()
	if got := k.did(); got != "authorise capture capture capture" {
		t.Errorf("asked %q", got)
	}
	if raised(d) != "" {
		t.Errorf("still warned: %s", raised(d))
	}
}

// TestDamagedOpenFile is said, and no reason not to work.
func TestDamagedOpenFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, OpenName), []byte(`[{"id":`), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &counter{}
	d := newDesk(t, k, dir)
	d.settleAll()
	d.Heard(says(follow.Closed))
	if got := k.did(); got != "capture" {
		t.Errorf("asked %q", got)
	}
	if b, err := os.ReadFile(filepath.Join(dir, OpenName)); err == nil && bytes.Contains(b, []byte(`{"id":`)) {
		t.Errorf("left behind: %s", b)
	}
}

func TestEndsOfTheRelay(t *testing.T) {
	k := &counter{}
	d := newDesk(t, k, t.TempDir())
	d.State(relay.State{Printer: "ok", Till: "ok"})
	d.State(relay.State{Printer: "unplugged", Till: "ok", Lost: 12})
	if len(k.told) != 1 || !strings.Contains(k.told[0], "12 bytes") {
		t.Errorf("told %q", k.told)
	}
	d.State(relay.State{Printer: relay.NotOpened, Till: "closed", Lost: 12})
	if len(k.told) != 1 || raised(d) != "" {
		t.Errorf("told %q, warned %q", k.told, raised(d))
	}
}
