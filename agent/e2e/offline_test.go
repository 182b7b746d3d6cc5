package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/e2e/cash"
	"github.com/tillside/tillside/agent/e2e/chain"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/ledger"
)

// plain is a programme that gives nothing by itself, so that every number of
// a story is in the story.
const plain = `{"programme": {"id": "plain", "currency": "EUR", "languages": ["en"]},
	"wallets": [{"id": "points", "point_value": "0.01"}],
	"redemption": [{"wallet": "points"}],
	"offline": {"spend": "within_lease"%s},
	"rules": []}`

// story is a chain with what the tests say to it.
type story struct {
	*chain.Chain
	t *testing.T
	n int
}

func newStory(t *testing.T, offline string) *story {
	t.Helper()
	c, err := chain.New(t.TempDir(), chain.NewClock(time.Now().Truncate(time.Second)), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &story{Chain: c, t: t}
	s.must(c.Publish(fmt.Appendf(nil, plain, offline)))
	return s
}

func (s *story) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) till(store, name string) *chain.Till {
	s.t.Helper()
	t, err := s.AddTill(store, name)
	s.must(err)
	s.must(chain.Until(func() (bool, error) { return t.Online(), nil }))
	return t
}

// member has visited stores so often, and then has so many points.
func (s *story) member(card string, points loyalty.Points, visits map[*chain.Till]int) loyalty.MemberID {
	s.t.Helper()
	id, err := s.AddMember("Anna", card, "48600100200")
	s.must(err)
	s.must(s.Settle())
	for t, n := range visits {
		for range n {
			s.must(s.sell(t, card, 0).err)
		}
	}
	s.must(s.Settle())
	b, err := s.Balance(id)
	s.must(err)
	s.must(s.Give(id, points-b.Available-b.Leased))
	s.must(s.Settle())
	return id
}

// sold is what became of a sale.
type sold struct {
	id, token string
	offered   till.SaleAnswer
	held      till.SaleAnswer
	captured  till.CaptureAnswer
	err       error
}

// identify shows a card at a till.
func (s *story) identify(t *chain.Till, card string) till.MemberAnswer {
	s.t.Helper()
	var a till.MemberAnswer
	s.must(t.Cash.Call(s.t.Context(), http.MethodPost, "/v1/identify", "", map[string]any{"input": card, "entry": "scan"}, &a))
	return a
}

// basket is goods for so many euros, with a wish to spend points.
func basket(token string, euros int, spend loyalty.Points, more map[string]any) map[string]any {
	b := map[string]any{"member": token, "lines": []map[string]any{{"sku": "1", "name": "Tea", "quantity": "1", "price": fmt.Sprintf("%d.00", euros)}}}
	if spend > 0 {
		b["spend"] = spend.String()
	}
	for k, v := range more {
		b[k] = v
	}
	return b
}

// sell sells goods for 100 euros to a member who wishes to spend points.
func (s *story) sell(t *chain.Till, card string, spend loyalty.Points) sold {
	s.t.Helper()
	x := s.authorise(t, card, 100, spend, nil)
	if x.err == nil {
		s.capture(t, &x)
	}
	return x
}

func (s *story) authorise(t *chain.Till, card string, euros int, spend loyalty.Points, more map[string]any) sold {
	s.t.Helper()
	s.n++
	x := sold{id: fmt.Sprintf("%s-%s-%d", t.Store, t.Name, s.n)}
	x.token = s.identify(t, card).Member.Token
	b := basket(x.token, euros, spend, more)
	if x.err = t.Cash.Call(s.t.Context(), http.MethodPost, "/v1/receipts/"+x.id+"/calculate", "", b, &x.offered); x.err != nil {
		return x
	}
	x.err = t.Cash.Call(s.t.Context(), http.MethodPost, "/v1/receipts/"+x.id+"/authorise", x.id+"-a", b, &x.held)
	return x
}

func (s *story) capture(t *chain.Till, x *sold) {
	s.t.Helper()
	x.err = t.Cash.Call(s.t.Context(), http.MethodPost, "/v1/receipts/"+x.id+"/capture", x.id+"-c",
		map[string]any{"fiscal_number": "F" + x.id, "tenders": []map[string]any{{"kind": "cash", "amount": x.held.Totals.Net.String()}}}, &x.captured)
}

func (s *story) void(t *chain.Till, x *sold) {
	s.t.Helper()
	s.must(t.Cash.Call(s.t.Context(), http.MethodPost, "/v1/receipts/"+x.id+"/void", x.id+"-v", map[string]any{}, nil))
}

func spentOf(r *loyalty.Result) loyalty.Points {
	if r == nil || r.Spend == nil {
		return 0
	}
	return r.Spend.Points
}

func (s *story) want(id loyalty.MemberID, available, leased, spent loyalty.Points) {
	s.t.Helper()
	b, err := s.Balance(id)
	s.must(err)
	if b.Available != available || b.Leased != leased || b.Spent != spent || b.Lost != 0 {
		s.t.Errorf("the ledger has %s available, %s leased, %s spent, %s lost; want %s, %s, %s and nothing lost", b.Available, b.Leased, b.Spent, -b.Lost, available, leased, spent)
	}
	s.must(s.Verify())
}

// The worked example: 1,000 points, two stores where the member shops, both
// without a link, a web shop and a third store meanwhile.
func TestWorkedExampleOffline(t *testing.T) {
	s := newStory(t, "")
	a, b, web, third := s.till("A", "1"), s.till("B", "1"), s.till("W", "1"), s.till("C", "1")
	const card = "2000000125008"
	m := s.member(card, 1000_00, map[*chain.Till]int{a: 6, b: 2})
	s.want(m, 400_00, 600_00, 0)
	s.must(a.Cut())
	s.must(b.Cut())

	x := s.sell(a, card, 300_00)
	s.must(x.err)
	if got := spentOf(x.captured.Result); got != 300_00 || x.held.Mode != "offline" {
		t.Errorf("A gave %s, %s", got, x.held.Mode)
	}
	t.Log(strings.Join(x.captured.Print, "\n"))
	y := s.sell(b, card, 300_00)
	s.must(y.err)
	if y.offered.Spend.Max != 150_00 || y.offered.Spend.LimitedBy != "lease" || spentOf(y.captured.Result) != 150_00 || y.offered.SpendNote == "" {
		t.Errorf("B offered %+v, %q, gave %s", y.offered.Spend, y.offered.SpendNote, spentOf(y.captured.Result))
	}
	z := s.sell(web, card, 400_00)
	s.must(z.err)
	if spentOf(z.captured.Result) != 400_00 {
		t.Errorf("the web shop gave %+v", z.held.Spend)
	}
	s.must(s.Settle())
	s.want(m, 0, 600_00, 400_00)
	who := s.identify(third, card)
	if w := who.Member.Balances[0]; w.Active != 0 || w.Reserved != 600_00 || w.ReservedAt != "A, B" {
		t.Errorf("C knows %+v", w)
	}
	n := s.authorise(third, card, 100, 100_00, nil)
	s.must(n.err)
	if spentOf(n.held.Result) != 0 || n.held.SpendNote != "600 points reserved at A, B" {
		t.Errorf("C gave %s and says %q", spentOf(n.held.Result), n.held.SpendNote)
	}

	s.must(a.Heal())
	s.must(s.Settle())
	// The third store asks for what A still has: it comes back at once.
	p := s.authorise(third, card, 100, 150_00, nil)
	s.must(p.err)
	if spentOf(p.held.Result) != 150_00 {
		t.Errorf("C gave %+v, %q", p.held.Spend, p.held.SpendNote)
	}
	s.void(third, &p)
	s.must(b.Heal())
	s.must(s.Settle())
	got, err := s.Balance(m)
	s.must(err)
	if got.Spent != 850_00 || got.Available+got.Leased != 150_00 || got.Lost != 0 || got.Held != 0 || got.Issued != -1000_00 {
		t.Errorf("at the end %+v; want 850 of 1,000 spent and 150 left", got)
	}
	s.must(s.Verify())
	var found int64
	s.must(s.Read(func(tx *db.Tx) error {
		sum, err := ledger.Counts(tx)
		found = sum.Findings
		return err
	}))
	if found != 0 {
		t.Errorf("%d findings", found)
	}
}

var _ = cash.Error{}

// roomy is an offline section without limits of frequency, for stories of
// something else.
const roomy = `, "same_card": 0, "spends_a_day": 0, "refuse_after": 0, "proof_after": 0`

// storeLAN puts all tills of the story into one shop network.
func (s *story) storeLAN() {
	s.Settings = func(t *chain.Till, c *configs.Agent) {
		c.Store.Listen, c.Store.Discover = "127.0.0.1:0", "off"
		if t.StoreListen != "" {
			c.Store.Listen = t.StoreListen
		}
		for _, o := range s.Tills {
			if o != t && o.Store == t.Store && o.StoreListen != "" {
				c.Store.Peers = append(c.Store.Peers, o.StoreListen)
			}
		}
	}
}

// Two tills of one store, the line down: who bought at till 1 finds the right
// balance at till 2, and spends there out of the keeper's lease. Then the
// keeper dies, and comes back; both journals reach the centre in any order,
// and every point is spent once.
func TestTwoTillsOfAStore(t *testing.T) {
	for _, first := range []string{"keeper", "other"} {
		t.Run(first+" comes back first", func(t *testing.T) {
			s := newStory(t, roomy)
			s.storeLAN()
			one := s.till("A", "1")
			two := s.till("A", "2")
			const card = "2000000125008"
			m := s.member(card, 1000_00, map[*chain.Till]int{one: 2, two: 2})
			s.want(m, 500_00, 500_00, 0) // one store: 60 %, at most 500
			s.must(chain.Until(func() (bool, error) {
				return len(one.Agent.StoreTills()) == 1 && len(two.Agent.StoreTills()) == 1, nil
			}))
			s.must(one.Cut())
			s.must(two.Cut())
			x := s.sell(one, card, 200_00)
			s.must(x.err)
			// Till 2 hears of it, and its lease is the keeper's.
			s.must(chain.Until(func() (bool, error) { return s.identify(two, card).Member.Balances[0].Active == 800_00, nil }))
			y := s.sell(two, card, 250_00)
			s.must(y.err)
			if spentOf(y.captured.Result) != 250_00 || y.held.Mode != "offline" {
				t.Errorf("till 2 gave %+v, %s", y.held.Spend, y.held.SpendNote)
			}
			s.must(chain.Until(func() (bool, error) { return s.identify(one, card).Member.Balances[0].Active == 550_00, nil }))
			// 50 are left of the lease, wherever she asks.
			z := s.authorise(two, card, 100, 100_00, nil)
			s.must(z.err)
			if spentOf(z.held.Result) != 50_00 || z.offered.Spend.LimitedBy != "lease" {
				t.Errorf("till 2 offered %+v", z.offered.Spend)
			}
			s.void(two, &z)
			s.must(chain.Until(func() (bool, error) {
				n := s.authorise(one, card, 100, 50_00, nil)
				if n.err != nil || spentOf(n.held.Result) != 50_00 {
					return false, n.err
				}
				s.void(one, &n)
				return true, nil
			}))
			// The keeper is switched off: till 2 gives points and spends none.
			s.must(one.Stop())
			n := s.authorise(two, card, 100, 50_00, nil)
			s.must(n.err)
			if spentOf(n.held.Result) != 0 || n.held.Spend.LimitedBy != "keeper_silent" {
				t.Errorf("without the keeper till 2 gave %+v", n.held.Spend)
			}
			s.void(two, &n)
			s.must(one.Start())
			order := []*chain.Till{one, two}
			if first == "other" {
				order = []*chain.Till{two, one}
			}
			for _, till := range order {
				s.must(till.Heal())
				s.must(s.Settle())
			}
			b, err := s.Balance(m)
			s.must(err)
			if b.Spent != 450_00 || b.Available+b.Leased != 550_00 || b.Lost != 0 || b.Held != 0 {
				t.Errorf("at the end %+v; 450 of 1,000 were spent", b)
			}
			s.must(s.Verify())
			// The balance at both is the centre's again, with nothing counted twice.
			for _, till := range order {
				if got := s.identify(till, card).Member.Balances[0]; got.Active+got.Reserved != 550_00 {
					t.Errorf("till %s knows %+v", till.Name, got)
				}
			}
			s.noFindings()
		})
	}
}

func (s *story) noFindings() {
	s.t.Helper()
	s.must(s.Read(func(tx *db.Tx) error {
		sum, err := ledger.Counts(tx)
		if err == nil && sum.Findings != 0 {
			s.t.Errorf("%d findings", sum.Findings)
		}
		return err
	}))
}

// A till of another store, or one that was revoked, is not listened to.
func TestStrangersInTheShopsNetwork(t *testing.T) {
	s := newStory(t, roomy)
	s.storeLAN()
	one, two := s.till("A", "1"), s.till("A", "2")
	other := s.till("B", "1")
	s.must(s.Settle())
	s.must(chain.Until(func() (bool, error) { return len(two.Agent.StoreTills()) == 1, nil }))
	if got := other.Agent.StoreTills(); len(got) != 0 {
		t.Errorf("a till of another store found %v", got)
	}
	s.must(s.Write(func(tx *db.Tx) error {
		_, err := fleet.Revoke(tx, "A", "2", "", "stolen", s.Clock.Now())
		return err
	}))
	s.must(chain.Until(func() (bool, error) { return len(one.Agent.StoreTills()) == 0, nil }))
}

// Each limit of the rulebook has its reason, and what it leaves is offered.
func TestLimitsWithoutALink(t *testing.T) {
	s := newStory(t, "")
	a := s.till("A", "1")
	const card = "2000000125008"
	m := s.member(card, 1000_00, map[*chain.Till]int{a: 3})
	s.want(m, 500_00, 500_00, 0)
	s.must(a.Cut())
	ask := func(want loyalty.Points, reason string, euros int, points loyalty.Points, more map[string]any) sold {
		t.Helper()
		x := s.authorise(a, card, euros, points, more)
		s.must(x.err)
		if spentOf(x.held.Result) != want || x.held.Spend.LimitedBy != reason {
			t.Errorf("asked for %s: gave %s, limited by %q (%s); want %s, %q", points, spentOf(x.held.Result), x.held.Spend.LimitedBy, x.held.SpendNote, want, reason)
		}
		return x
	}
	voided := func(x sold) { s.void(a, &x) }
	voided(ask(300_00, "offline_points", 100, 400_00, nil))
	voided(ask(60_00, "offline_percent", 2, 100_00, nil)) // 30 % of 2.00
	x := ask(100_00, "offline_points", 100, 100_00, nil)
	s.capture(a, &x)
	s.must(x.err)
	s.Clock.Add(11 * time.Minute)
	x = ask(100_00, "offline_points", 100, 100_00, nil)
	s.capture(a, &x)
	s.must(x.err)
	s.Clock.Add(11 * time.Minute)
	// Two the centre has not seen: the third wants a second proof.
	voided(ask(0, "proof_needed", 100, 100_00, nil))
	if y := s.authorise(a, card, 100, 100_00, map[string]any{"proof": "48999999999"}); y.err == nil {
		t.Error("somebody else's phone number is a proof")
	}
	x = ask(100_00, "lease", 100, 100_00, map[string]any{"proof": "48600100200"}) // 300 of the lease are left
	s.capture(a, &x)
	s.must(x.err)
	s.Clock.Add(11 * time.Minute)
	voided(ask(0, "offline_count", 100, 100_00, map[string]any{"proof": "48600100200"}))
	// Back in touch, and cut off again: the count begins anew, the day's does not.
	s.must(a.Heal())
	s.must(s.Settle())
	s.must(a.Cut())
	voided(ask(0, "day_count", 100, 100_00, nil))
	s.Clock.Add(25 * time.Hour)
	voided(ask(100_00, "offline_points", 100, 100_00, nil))
	s.Clock.Add(3 * 24 * time.Hour)
	voided(ask(0, "snapshot_old", 100, 100_00, nil))
	// A typed number never pays without a link.
	var who till.MemberAnswer
	s.must(a.Cash.Call(t.Context(), http.MethodPost, "/v1/identify", "", map[string]any{"input": card}, &who))
	var held till.SaleAnswer
	s.must(a.Cash.Call(t.Context(), http.MethodPost, "/v1/receipts/typed/authorise", "typed", basket(who.Member.Token, 100, 100_00, nil), &held))
	if spentOf(held.Result) != 0 || held.Spend.LimitedBy != "card_typed" {
		t.Errorf("typed: %+v", held.Spend)
	}
	s.must(a.Heal())
	s.must(s.Settle())
	s.must(s.Verify())
}

// The agent stops between authorise and capture: the hold is still there, and
// is captured, voided or given back, once (I5). A lease asked back meanwhile
// keeps what the hold keeps.
func TestLeaseHoldOverARestart(t *testing.T) {
	for _, end := range []string{"capture", "void"} {
		t.Run(end, func(t *testing.T) {
			s := newStory(t, roomy)
			a := s.till("A", "1")
			const card = "2000000125008"
			m := s.member(card, 1000_00, map[*chain.Till]int{a: 1})
			s.must(a.Cut())
			x := s.authorise(a, card, 100, 200_00, nil)
			s.must(x.err)
			s.must(a.Stop())
			s.must(a.Start())
			s.must(a.Heal())
			s.must(s.Write(func(tx *db.Tx) error {
				_, err := s.Centre.Ledger().RecallMember(tx, m, "points")
				return err
			}))
			s.must(s.Settle())
			if end == "capture" {
				s.capture(a, &x)
				s.must(x.err)
			} else {
				s.void(a, &x)
			}
			s.must(s.Settle())
			b, err := s.Balance(m)
			s.must(err)
			want := loyalty.Points(0)
			if end == "capture" {
				want = 200_00
			}
			if b.Spent != want || b.Available+b.Leased != 1000_00-want || b.Lost != 0 {
				t.Errorf("%+v; want %s spent", b, want)
			}
			s.must(s.Verify())
			s.noFindings()
		})
	}
}

// The negative control: a centre that takes leases back because their day has
// passed books a loss that the real one does not.
func TestTimeBasedTakeBackIsFoundOut(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		s := newStory(t, roomy)
		a, web := s.till("A", "1"), s.till("W", "1")
		const card = "2000000125008"
		m := s.member(card, 1000_00, map[*chain.Till]int{a: 1})
		s.must(a.Cut())
		x := s.sell(a, card, 300_00)
		s.must(x.err)
		s.Clock.Add(2 * 24 * time.Hour)
		if wrong { // as if the day of the lease were its end at the centre too
			s.must(s.Write(func(tx *db.Tx) error {
				_, err := s.Centre.Ledger().ReturnSilent(tx, s.Clock.Now())
				return err
			}))
		}
		s.must(s.Settle())
		y := s.authorise(web, card, 10_000, 1000_00, nil)
		s.must(y.err)
		s.capture(web, &y)
		s.must(a.Heal())
		s.must(s.Settle())
		b, err := s.Balance(m)
		s.must(err)
		if lost := b.Lost != 0; lost != wrong {
			t.Errorf("taken back by time: %v; the ledger has %+v", wrong, b)
		}
	}
}
