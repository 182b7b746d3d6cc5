package central_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// giver is a till that prices with the quotas it was told of, and keeps them
// in a till's own store.
type giver struct {
	*till
	t       *testing.T
	rb      *loyalty.Rulebook
	journal *store.Journal
	store   string
	n       int
	given   loyalty.Money
	first   wire.Mark // place of its first sale
}

const potBook = `{"programme": {"id": "pot", "currency": "GBP"}, "wallets": [{"id": "points"}],
	"budgets": [{"id": "b", "money": "100.00", "partial": true}],
	"rules": [{"id": "half", "budget": "b", "then": [{"percent_off": {"percent": "50"}}]}]}`

func (r *rig) giver(store1, name string) *giver { return r.giverOf(potBook, store1, name) }

func (r *rig) giverOf(book, store1, name string) *giver {
	r.t.Helper()
	g := &giver{till: r.till(store1, name), t: r.t, store: store1}
	doc, err := loyalty.Decode([]byte(book))
	if err != nil {
		r.t.Fatal(err)
	}
	if g.rb, err = loyalty.Compile(doc); err != nil {
		r.t.Fatal(err)
	}
	g.journal, err = store.OpenJournal(r.t.TempDir(), store.Options{Identity: outbox.Identity{Device: g.id, Epoch: g.answer.Epoch},
		Stamp: func() outbox.Stamp { return outbox.Stamp{Wall: time.Now(), Boot: "b", Clock: wire.ClockGood} }})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { g.journal.Close() })
	return g
}

// quota takes in what came down the line and tells what is left of the pot.
func (g *giver) quota() (left loyalty.Money) {
	g.t.Helper()
	g.take()
	err := g.journal.View(func(tx *store.Tx) error {
		q, err := tx.Quota("pot/b")
		if q != nil {
			left = q.Money
		}
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return left
}

// take takes in what came down the line.
func (g *giver) take() {
	g.t.Helper()
	items, err := g.Items(wire.LaneCommand)
	if err != nil {
		g.t.Fatal(err)
	}
	err = g.journal.Update(func(tx *store.Tx) error {
		for _, raw := range items {
			var c wire.CommandItem
			var q wire.QuotaGrant
			if err := json.Unmarshal(raw, &c); err == nil && c.Do == wire.CommandStore {
				continue // who the tills of the store are
			} else if err != nil || c.Do != wire.CommandQuota {
				return fmt.Errorf("command %s: %w", raw, err)
			}
			if err := json.Unmarshal(c.Args, &q); err != nil {
				return err
			}
			m, err := loyalty.ParseMoney(q.Money)
			if err != nil {
				return err
			}
			if err := tx.Grant(q.Budget, q.No, q.Epoch, loyalty.Quota{Money: m, Count: q.Count}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// standing is what the till may give at a moment.
func (g *giver) standing(at time.Time) (in loyalty.Input) {
	g.t.Helper()
	g.take()
	in = loyalty.Input{Budgets: map[string]*loyalty.Quota{}, Offline: true}
	err := g.journal.View(func(tx *store.Tx) (err error) {
		if in.Usage, err = tx.Usage(); err != nil {
			return err
		}
		for _, b := range g.rb.Budgets(at, g.store) {
			q, err := tx.Quota(b.Key)
			if err != nil {
				return err
			}
			if q == nil {
				q = &loyalty.Quota{}
			}
			in.Budgets[b.ID] = q
		}
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return in
}

// sell sells for 12.00, half of which is given while it may be.
func (g *giver) sell() (off loyalty.Money) { return g.sellAt(time.Now()) }

func (g *giver) sellAt(at time.Time) (off loyalty.Money) {
	g.t.Helper()
	g.n++
	id := fmt.Sprint("r", g.n)
	in := g.standing(at)
	in.Receipt = &loyalty.Receipt{ID: id, Time: at, Store: g.store, Lines: []loyalty.Line{{ID: "1", SKU: "x", Quantity: 1000, Price: 12_000_000}}}
	res, err := g.rb.Price(in)
	if err != nil {
		g.t.Fatal(err)
	}
	b := &store.Booking{Quotas: g.rb.QuotaUses(res, g.store), Usage: res.Usage}
	if err := g.journal.Update(func(tx *store.Tx) error { return tx.Rebook(nil, b) }); err != nil {
		g.t.Fatal(err)
	}
	c := wire.Commit{Receipt: json.RawMessage(`{}`)}
	c.Result, _ = json.Marshal(res)
	for _, q := range b.Quotas {
		c.Quotas = append(c.Quotas, wire.QuotaUse{Budget: q.Key, Money: q.Money.String(), Count: q.Count})
	}
	m := g.log(g.t, wire.TypeCommit, id, c)
	if g.first == (wire.Mark{}) {
		g.first = m
	}
	g.given += res.Totals.Discount
	return res.Totals.Discount
}

// sellOut sells until the till has nothing more to give.
func (g *giver) sellOut() {
	for g.sell() > 0 {
	}
}

func (r *rig) granted() (sum loyalty.Money, devices int) {
	r.t.Helper()
	r.read(func(tx *db.Tx) error {
		all, err := ledger.Quotas(tx, "pot/b")
		for _, s := range all {
			sum += s.Granted.Money
		}
		devices = len(all)
		return err
	})
	return sum, devices
}

// Two tills that lose their links, each gives what it has; together they
// never give more than the budget. A third that stays connected is handed the
// rest, piece by piece, and not one cent more.
func TestABudgetIsNeverPassedByTillsThatDoNotSeeEachOther(t *testing.T) {
	r := start(t)
	a, b := r.giver("A", "1"), r.giver("B", "1")
	until(t, "both are connected", func() bool { return len(r.s.Online()) == 2 })
	r.publishDoc(t, []byte(potBook))
	until(t, "both have quotas", func() bool { return a.quota() > 0 && b.quota() > 0 })
	if qa, qb := a.quota(), b.quota(); qa+qb > 10000 || qa < 1000 || qb < 1000 {
		t.Fatalf("quotas %v and %v", qa, qb)
	}
	a.stop()
	b.stop()
	a.sellOut()
	b.sellOut()
	if a.given+b.given > 10000 || a.given == 0 || b.given == 0 {
		t.Fatalf("given without a link: %v and %v", a.given, b.given)
	}
	// B is revoked and never heard of again: what it had counts as given.
	before, _ := r.granted()
	r.write(func(tx *db.Tx) error {
		_, err := fleet.Revoke(tx, "B", "1", "", "stolen", time.Now())
		return err
	})
	c := r.giver("C", "1")
	// Publishing again hands out nothing twice.
	r.publishDoc(t, []byte(potBook))
	until(t, "all of the budget is with the tills", func() bool {
		c.sell()
		sum, _ := r.granted()
		return sum >= 10000
	})
	c.drained(t)
	until(t, "the last grant is with C", func() bool {
		c.sellOut()
		return c.given >= 10000-before
	})
	if sum := a.given + b.given + c.given; sum != 10000 {
		t.Errorf("%v + %v + %v given of 100.00", a.given, b.given, c.given)
	}
	// C takes a sale back: its quota grows by that, the budget does not.
	v := wire.Void{Reverses: &c.first, Quotas: []wire.QuotaUse{{Budget: "pot/b", Money: "-6.00"}}}
	c.log(t, wire.TypeVoid, "r", v)
	c.drained(t)
	r.read(func(tx *db.Tx) error {
		all, err := ledger.Quotas(tx, "pot/b")
		var used loyalty.Money
		for _, s := range all {
			used += s.Used.Money
		}
		if used != c.given-600 {
			t.Errorf("used %v, want %v", used, c.given-600)
		}
		return err
	})
	if sum, n := r.granted(); sum != 10000 || n != 3 {
		t.Errorf("%v granted to %d tills", sum, n)
	}
	r.sound()
}

const limitBook = `{"programme": {"id": "lim", "currency": "GBP"},
	"rules": [{"id": "half", "then": [{"percent_off": {"percent": "50"}}],
		"limits": [{"per": "store", "period": "day", "count": 20}, {"per": "all", "period": "month", "count": 30}]}]}`

// A limit per store and one for all hold like budgets: three tills in two
// stores that lose their links give no more together than each limit says.
func TestLimitsPerStoreAndForAllHoldAcrossTills(t *testing.T) {
	r := start(t)
	a1, a2, b1 := r.giverOf(limitBook, "A", "1"), r.giverOf(limitBook, "A", "2"), r.giverOf(limitBook, "B", "1")
	all := []*giver{a1, a2, b1}
	until(t, "all are connected", func() bool { return len(r.s.Online()) == 3 })
	r.publishDoc(t, []byte(limitBook))
	now := time.Now()
	until(t, "all may give", func() bool {
		for _, g := range all {
			for _, q := range g.standing(now).Budgets {
				if q.Count == 0 {
					return false
				}
			}
		}
		return true
	})
	for _, g := range all {
		g.stop()
	}
	// Until nobody has anything to give, on one day.
	times := map[string]int{}
	for _, g := range all {
		for g.sellAt(now) > 0 {
			times[g.store]++
		}
	}
	if a, b := times["A"], times["B"]; a == 0 || b == 0 || a > 20 || b > 20 || a+b > 30 {
		t.Errorf("without a link store A gave %d times of 20, B %d, together of 30", a, b)
	}
	// The next day has been handed out ahead, in part, for the store; the
	// month goes on with what is left of it.
	for _, g := range all {
		if q := g.standing(now.AddDate(0, 0, 1)).Budgets["limit rule:half/store/day"]; q == nil || q.Count < 1 || q.Count > 10 {
			t.Errorf("till of %s has %+v ahead", g.store, q)
		}
	}
	// Back on line, tills are handed the rest as they report, and not one more.
	c := r.giverOf(limitBook, "B", "2")
	until(t, "the rest of the store's limit is given", func() bool {
		if c.sellAt(now) > 0 {
			times["B"]++
		}
		var sum int64
		r.read(func(tx *db.Tx) error {
			q, err := ledger.Quotas(tx, "lim/limit rule:half/store/day@store=B@"+loyalty.DateOf(now).String())
			for _, s := range q {
				sum += s.Granted.Count
			}
			return err
		})
		return sum == 20 || times["A"]+times["B"] == 30
	})
	if times["B"] > 20 || times["A"]+times["B"] > 30 {
		t.Errorf("given %v", times)
	}
	r.sound()
}

func TestWhatTillsCannotKeepTogetherIsNotPublished(t *testing.T) {
	engine := central.NewEngine(nil)
	for _, period := range []string{"30 days", "receipt"} {
		for _, per := range []string{"store", "all"} {
			_, err := engine.Check([]byte(strings.Replace(strings.Replace(limitBook, `"store", "period": "day"`, `"`+per+`", "period": "`+period+`"`, 1), `"half"`, `"r1"`, 1)))
			want := `rules[0].limits[0].period: what tills give together is handed to them by day, week, month, quarter, year or ever, found "` + period + `"; choose one of these`
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("per %s, %s: %v", per, period, err)
			}
		}
	}
}
