package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/e2e/chain"
	"github.com/tillside/tillside/agent/e2e/retail"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/sync/central/db"
	centre "github.com/tillside/tillside/sync/central/ledger"
)

// How often is an honest member served while the link is down? The real
// sales are replayed several times over, a few weeks apart, so that members
// come back; most members have one store, and some visit others too; each store is cut off at random for hours to days. Centre and agents
// are the real ones, in this process, on a clock that is moved.
//
// A wished redemption is a visit of a member who has points: she wishes for as
// many as a till that knew every receipt of every store at once would let her
// use, all she has, up to the programme's own caps. Points that her own
// receipts still call "to be credited", because they were earned at a store
// without a link, are not among them. Counted are the wishes at stores that
// are cut off at that moment.
//
// Beside it stand a till that refuses all of them, and one that trusts its
// cache: it gives up to the balance it last heard of, moved by its own
// receipts. What the latter gives beyond what members have is its overdraft.

// offlineOptions is what can be set.
type offlineOptions struct {
	stores, tills, rounds, receipts int
	loyal                           int
	seed                            uint64
	up, down                        time.Duration
	limits                          string
	halfOpen                        int
	least                           float64
}

// shopLimits fit a shop whose usual receipt is some hundred pounds and whose
// point is a penny; the defaults are made for a grocer's receipts.
const shopLimits = `{"spend": "within_lease", "max_points": "0", "leased_share": "100", "lease_split": "favourite", "lease_per_store": "20000", "lease_per_device": "0"}`

func offlineCommand(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("tilldemo offline", flag.ContinueOnError)
	var o offlineOptions
	flags.IntVar(&o.stores, "stores", 4, "how many stores")
	flags.IntVar(&o.tills, "tills", 1, "how many tills each store has")
	flags.IntVar(&o.rounds, "rounds", 2, "how often the month of receipts is replayed")
	flags.IntVar(&o.receipts, "receipts", 0, "stop after so many receipts (0: all)")
	flags.IntVar(&o.loyal, "loyal", 90, "percent of members who use one store only; the others are elsewhere one visit in four")
	flags.Uint64Var(&o.seed, "seed", 1, "of the random choices")
	flags.DurationVar(&o.up, "up", 48*time.Hour, "how long a store is connected, on average")
	flags.DurationVar(&o.down, "down", 72*time.Hour, "how long a cut lasts at most; one hour at least, half of them under a tenth of the way up")
	flags.StringVar(&o.limits, "limits", shopLimits, "section offline of the rulebook; \"default\" for the defaults")
	flags.IntVar(&o.halfOpen, "half-open", 300, "measure so many decisions while the link is half open (0: none)")
	flags.Float64Var(&o.least, "least", 0, "fail when fewer percent are granted in full, or anything is overdrawn")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "tilldemo offline counts how often members' wishes to use points are granted at stores without a link.\n\n  tilldemo offline\n  tilldemo offline -stores 6 -loyal 80 -seed 7")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.limits == "default" {
		o.limits = `{"spend": "within_lease"}`
	}
	if o.stores < 1 || o.tills < 1 || o.rounds < 1 || o.loyal < 0 || o.loyal > 100 {
		return errors.New("stores, tills and rounds are at least 1, loyal lies between 0 and 100")
	}
	dir, err := os.MkdirTemp("", "tilldemo-offline")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &offlineDemo{o: o, out: out, rnd: rand.New(rand.NewPCG(o.seed, 5)), members: map[string]*shopper{}}
	err = d.run(ctx, dir)
	if d.c != nil {
		err = errors.Join(err, d.c.Close())
	}
	return err
}

// shopper is a member: what she has had everywhere, at each of the three.
type shopper struct {
	id   loyalty.MemberID
	card string
	home int
	true bool           // to one store
	ours loyalty.Points // by our receipts, all of them
	// Earned at stores that are cut off, by store; and the last sale.
	uncredited map[int]loyalty.Points
	last       int
	// Of the till that trusts its cache: what the centre has, and what the
	// stores that are cut off know and did.
	known loyalty.Points
	cache map[int]loyalty.Points
	moved map[int]loyalty.Points
}

// own is what is hers and credited.
func (s *shopper) own(n loyalty.Points) loyalty.Points {
	for _, p := range s.uncredited {
		n -= p
	}
	return n
}

func (s *shopper) theirs() loyalty.Points {
	n := s.known
	for _, p := range s.moved {
		n += p
	}
	return n
}

type offlineDemo struct {
	o       offlineOptions
	out     io.Writer
	c       *chain.Chain
	rnd     *rand.Rand
	rules   *loyalty.Rulebook
	members map[string]*shopper
	tills   [][]*chain.Till
	cut     []bool
	n       int
	settled int // sales up to here are everywhere
	at      time.Time

	wishes, full, part, refused       int // ours, without a link
	why                               map[string]int
	wished, granted                   loyalty.Points
	cacheWishes, cacheFull, cachePart int
	overdraft                         loyalty.Points
	overdrawn                         int
	onlineWishes, onlineFull          int
	outages                           int
	outage                            time.Duration
	cutSince                          []time.Time
}

func (d *offlineDemo) run(ctx context.Context, dir string) error {
	all, err := retail.Receipts()
	if err != nil {
		return err
	}
	var sales []retail.Receipt
	first, last := all[0].Time, all[len(all)-1].Time
	weeks := last.Sub(first)/(7*24*time.Hour) + 1
	for k := range d.o.rounds {
		for _, r := range all {
			if r.Kind == retail.Sale {
				r.Time = r.Time.Add(time.Duration(k) * weeks * 7 * 24 * time.Hour)
				sales = append(sales, r)
			}
		}
	}
	if d.o.receipts > 0 && len(sales) > d.o.receipts {
		sales = sales[:d.o.receipts]
	}
	d.at = sales[0].Time.Add(-time.Hour)
	if d.c, err = chain.New(dir, chain.NewClock(d.at), slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))); err != nil {
		return err
	}
	if err := d.open(sales); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "seed %d: %d sales of %d members over %d days in %d stores of %d tills; cut off for 1 to %.0f hours, connected for %.0f on average\n",
		d.o.seed, len(sales), len(d.members), int(sales[len(sales)-1].Time.Sub(sales[0].Time).Hours()/24), d.o.stores, d.o.tills, d.o.down.Hours(), d.o.up.Hours())
	next := make([]time.Time, d.o.stores)
	for i := range next {
		next[i] = d.at.Add(d.length(d.o.up))
	}
	for _, r := range sales {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for { // cuts and mends before this sale, in their order
			i := 0
			for k := range next {
				if next[k].Before(next[i]) {
					i = k
				}
			}
			if next[i].After(r.Time) {
				break
			}
			if err := d.turn(i, next[i]); err != nil {
				return err
			}
			if d.cut[i] {
				next[i] = next[i].Add(d.gone())
			} else {
				next[i] = next[i].Add(d.length(d.o.up))
			}
		}
		if err := d.sell(ctx, r); err != nil {
			return fmt.Errorf("receipt %s: %w", r.ID, err)
		}
	}
	for i := range d.cut {
		if d.cut[i] {
			if err := d.turn(i, d.at); err != nil {
				return err
			}
		}
	}
	if err := d.c.Settle(); err != nil {
		return err
	}
	if err := d.report(); err != nil {
		return err
	}
	if d.o.halfOpen > 0 {
		return d.measure(ctx, d.o.halfOpen)
	}
	return nil
}

// length is a random time around a mean; gone is how long a cut lasts: many
// are short, some take days.
func (d *offlineDemo) length(mean time.Duration) time.Duration {
	return time.Duration(d.rnd.ExpFloat64() * float64(mean))
}

func (d *offlineDemo) gone() time.Duration {
	x := d.rnd.Float64()
	return time.Hour + time.Duration(x*x*x*float64(d.o.down-time.Hour))
}

func (d *offlineDemo) open(sales []retail.Receipt) error {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(rulebook, &doc); err != nil {
		return err
	}
	doc["offline"] = json.RawMessage(d.o.limits)
	raw, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	if err := d.c.Publish(raw); err != nil {
		return err
	}
	parsed, err := loyalty.Decode(raw)
	if err != nil {
		return err
	}
	if d.rules, err = loyalty.Compile(parsed); err != nil {
		return err
	}
	for _, r := range sales {
		if r.Member == "" || d.members[r.Member] != nil {
			continue
		}
		m := &shopper{card: retail.Card(r.Member), home: d.rnd.IntN(d.o.stores), true: d.rnd.IntN(100) < d.o.loyal, uncredited: map[int]loyalty.Points{}, cache: map[int]loyalty.Points{}, moved: map[int]loyalty.Points{}}
		if m.id, err = d.c.AddMember("Anna", m.card, ""); err != nil {
			return err
		}
		d.members[r.Member] = m
	}
	for s := range d.o.stores {
		var some []*chain.Till
		for k := range d.o.tills {
			t, err := d.c.AddTill(fmt.Sprintf("S%d", s+1), fmt.Sprint(k+1))
			if err != nil {
				return err
			}
			some = append(some, t)
		}
		d.tills = append(d.tills, some)
	}
	d.cut, d.cutSince, d.why = make([]bool, d.o.stores), make([]time.Time, d.o.stores), map[string]int{}
	for _, some := range d.tills {
		for _, t := range some {
			if err := chain.Until(func() (bool, error) { return t.Online(), nil }); err != nil {
				return err
			}
		}
	}
	return d.c.Settle()
}

// turn cuts a store off, or mends its line.
func (d *offlineDemo) turn(i int, at time.Time) error {
	d.c.Clock.Set(at)
	if err := d.c.Settle(); err != nil {
		return err
	}
	for _, t := range d.tills[i] {
		f := t.Cut
		if d.cut[i] {
			f = t.Heal
		}
		if err := f(); err != nil {
			return err
		}
	}
	if d.cut[i] = !d.cut[i]; d.cut[i] {
		d.outages++
		d.cutSince[i] = at
		for _, m := range d.members {
			m.cache[i], m.moved[i] = m.known, 0
		}
		return nil
	}
	d.outage += at.Sub(d.cutSince[i])
	for _, m := range d.members {
		if m.known += m.moved[i]; m.known < 0 {
			d.overdraft -= m.known
			d.overdrawn++
			m.known = 0
		}
		m.moved[i], m.uncredited[i] = 0, 0
	}
	return d.c.Settle()
}

func (d *offlineDemo) sell(ctx context.Context, r retail.Receipt) error {
	d.c.Clock.Set(r.Time)
	d.at = r.Time
	m := d.members[r.Member]
	store := d.rnd.IntN(d.o.stores)
	if m != nil && (m.true || d.rnd.IntN(4) > 0) {
		store = m.home
	}
	t := d.tills[store][d.rnd.IntN(d.o.tills)]
	d.n++
	id := fmt.Sprintf("%s-%d", r.ID, d.n)
	body := map[string]any{"lines": r.Lines, "time": r.Time}
	if m == nil {
		return t.Cash.Call(ctx, http.MethodPost, "/v1/receipts/"+id+"/capture", id, map[string]any{"receipt": body, "fiscal_number": id}, nil)
	}
	wish, err := d.allowed(r, m.own(m.ours))
	if err != nil {
		return err
	}
	// Hours lie between her visits; here that is a moment, and what the last
	// one set going must have come to its end.
	if m.last > d.settled {
		if err := d.c.Settle(); err != nil {
			return err
		}
		d.settled = d.n
	}
	m.last = d.n
	var who till.MemberAnswer
	if err := t.Cash.Call(ctx, http.MethodPost, "/v1/identify", "", map[string]any{"input": m.card, "entry": "scan"}, &who); err != nil {
		return err
	}
	body["member"] = who.Member.Token
	if wish > 0 {
		body["spend"] = wish.String()
	}
	var held till.SaleAnswer
	if err := t.Cash.Call(ctx, http.MethodPost, "/v1/receipts/"+id+"/authorise", id+"-a", body, &held); err != nil {
		return err
	}
	var done till.CaptureAnswer
	if err := t.Cash.Call(ctx, http.MethodPost, "/v1/receipts/"+id+"/capture", id+"-c", map[string]any{"fiscal_number": id}, &done); err != nil {
		return err
	}
	var got, earned loyalty.Points
	if s := done.Result.Spend; s != nil {
		got = s.Points
	}
	for _, e := range done.Result.Earned {
		earned += e.Points
	}
	m.ours += earned - got
	if d.cut[store] {
		m.uncredited[store] += earned
	}
	d.count(store, wish, got, held.Result)
	return d.trusting(r, m, store, earned)
}

func (d *offlineDemo) count(store int, wish, got loyalty.Points, r *loyalty.Result) {
	if wish == 0 {
		return
	}
	if !d.cut[store] {
		d.onlineWishes++
		if got >= wish {
			d.onlineFull++
		}
		return
	}
	d.wishes++
	d.wished += wish
	d.granted += got
	switch {
	case got >= wish:
		d.full++
		return
	case got > 0:
		d.part++
	default:
		d.refused++
	}
	if r.Spend != nil {
		d.why[r.Spend.LimitedBy]++
	}
}

// trusting is the same sale at a till that trusts its cache.
func (d *offlineDemo) trusting(r retail.Receipt, m *shopper, store int, earned loyalty.Points) error {
	credited := m.own(m.theirs())
	if d.cut[store] {
		credited += earned // of this very receipt, which is ahead of its time in uncredited
	}
	wish, err := d.allowed(r, credited)
	if err != nil {
		return err
	}
	if !d.cut[store] {
		got, err := d.allowed(r, m.known)
		m.known += earned - min(got, wish)
		return err
	}
	got, err := d.allowed(r, m.cache[store])
	if err != nil {
		return err
	}
	m.cache[store] += earned - got
	m.moved[store] += earned - got
	if wish == 0 && got == 0 {
		return nil
	}
	d.cacheWishes++
	if got >= wish {
		d.cacheFull++
	} else if got > 0 {
		d.cachePart++
	}
	return nil
}

// allowed is what a till that knows everything lets a member use who has so
// many points.
func (d *offlineDemo) allowed(r retail.Receipt, have loyalty.Points) (loyalty.Points, error) {
	if have <= 0 {
		return 0, nil
	}
	res, err := d.rules.Price(loyalty.Input{Receipt: &loyalty.Receipt{ID: r.ID, Time: r.Time, Lines: r.Lines, Spend: "max"}, Plain: true, Trace: loyalty.TraceNone,
		Member: &loyalty.Member{ID: 1, Wallets: map[string]loyalty.Balance{"points": {Active: have}}}})
	if err != nil || res.Spend == nil {
		return 0, err
	}
	return res.Spend.Points, nil
}

func share(n, of int) string {
	if of == 0 {
		return "     -"
	}
	return fmt.Sprintf("%5.1f%%", 100*float64(n)/float64(of))
}

func (d *offlineDemo) report() error {
	var lost loyalty.Points
	var spent, ours loyalty.Points
	err := d.c.Read(func(tx *db.Tx) error {
		s, err := centre.Sum(tx)
		for _, w := range s.Wallets {
			lost, spent = lost+w.Lost, spent+w.Spent
		}
		return err
	})
	if err != nil {
		return err
	}
	off := 0
	for _, m := range d.members {
		b, err := d.c.Balance(m.id)
		if err != nil {
			return err
		}
		if b.Available+b.Leased+b.Pending+b.Held != m.ours {
			off++
		}
		ours += m.ours
	}
	p := func(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }
	p("%d cuts, %.0f hours each on average; %d wishes with a link, of which granted in full %s", d.outages, d.outage.Hours()/float64(max(1, d.outages)), d.onlineWishes, share(d.onlineFull, d.onlineWishes))
	p("")
	p("wishes without a link      number    in full    in part    refused    overdraft, points")
	p("a till that refuses all    %6d     %s     %s     %s    %.2f", d.wishes, share(0, d.wishes), share(0, d.wishes), share(d.wishes, d.wishes), 0.0)
	p("one that trusts its cache  %6d     %s     %s     %s    %s of %d members", d.cacheWishes, share(d.cacheFull, d.cacheWishes), share(d.cachePart, d.cacheWishes), share(d.cacheWishes-d.cacheFull-d.cachePart, d.cacheWishes), d.overdraft, d.overdrawn)
	p("leases                     %6d     %s     %s     %s    %s", d.wishes, share(d.full, d.wishes), share(d.part, d.wishes), share(d.refused, d.wishes), lost)
	p("")
	if d.wished > 0 {
		p("points wished for %s, granted %s (%.1f%%)", d.wished, d.granted, 100*float64(d.granted)/float64(d.wished))
	}
	var why []string
	for k := range d.why {
		why = append(why, k)
	}
	slices.SortFunc(why, func(a, b string) int { return cmp.Or(d.why[b]-d.why[a], strings.Compare(a, b)) })
	for _, k := range why {
		p("  %4d not in full: %s", d.why[k], loyalty.Reason("en", k))
	}
	if err := d.c.Verify(); err != nil {
		return fmt.Errorf("the ledger does not add up: %w", err)
	}
	if off > 0 {
		return fmt.Errorf("the ledger has another balance than the receipts for %d members", off)
	}
	p("ledger verified: balances of %d members are those of their receipts, %s points in all", len(d.members), ours)
	if full := 100 * float64(d.full) / float64(max(1, d.wishes)); d.o.least > 0 && (full < d.o.least || lost != 0) {
		return fmt.Errorf("%.1f%% granted in full, %s lost; wanted %.1f%% and nothing", full, lost, d.o.least)
	}
	return nil
}

// measure times decisions at a till whose line has gone silent both ways
// without anybody hanging up.
func (d *offlineDemo) measure(ctx context.Context, n int) error {
	t := d.tills[0][0]
	var who []*shopper
	for _, m := range d.members {
		if m.home == 0 {
			who = append(who, m)
		}
	}
	slices.SortFunc(who, func(a, b *shopper) int { return strings.Compare(a.card, b.card) })
	if len(who) == 0 {
		return nil
	}
	d.c.ReadLimit = 50 * time.Second // as in the field, so that the dead line stays unnoticed
	if err := errors.Join(t.Stop(), t.Start()); err != nil {
		return err
	}
	if err := chain.Until(func() (bool, error) { return t.Online(), nil }); err != nil {
		return err
	}
	t.Link.Silence(true, true)
	defer t.Link.Heal()
	decide := func(k int) (time.Duration, error) {
		m := who[k%len(who)]
		id := fmt.Sprintf("half-%d", k)
		start := time.Now()
		var a till.MemberAnswer
		if err := t.Cash.Call(ctx, http.MethodPost, "/v1/identify", "", map[string]any{"input": m.card, "entry": "scan"}, &a); err != nil {
			return 0, err
		}
		var held till.SaleAnswer
		err := t.Cash.Call(ctx, http.MethodPost, "/v1/receipts/"+id+"/authorise", id, map[string]any{"member": a.Member.Token, "spend": "max",
			"lines": []map[string]any{{"sku": "1", "quantity": "1", "price": "100.00"}}}, &held)
		return time.Since(start), err
	}
	first, err := decide(0)
	if err != nil {
		return err
	}
	var all []time.Duration
	for k := 1; k <= n; k++ {
		took, err := decide(k)
		if err != nil {
			return err
		}
		all = append(all, took)
	}
	slices.Sort(all)
	fmt.Fprintf(d.out, "half-open link: the first customer waited %.0f ms (budget 800); then %d decisions, identify and authorise: median %.1f ms, p99 %.1f ms, slowest %.1f ms (goal: p99 50 ms)\n",
		ms(first), n, ms(all[len(all)/2]), ms(all[len(all)*99/100]), ms(all[len(all)-1]))
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
