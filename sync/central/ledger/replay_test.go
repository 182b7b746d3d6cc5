package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

// book is the rules of one rulebook, whatever the version.
type book struct {
	rb     *loyalty.Rulebook
	policy string
}

func newBook(t *testing.T, policy string) *book {
	t.Helper()
	doc, err := loyalty.Decode([]byte(`{"programme": {"id": "shop", "version": 1, "name": {"en": "Shop"}, "currency": "GBP", "languages": ["en"]},
		"wallets": [{"id": "points", "name": {"en": "Points"}}], "rules": [{"id": "x", "then": [{"points_percent": {"percent": "1"}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	rb, err := loyalty.Compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &book{rb, policy}
}

func (b *book) Advance(_ int64, m *loyalty.Member, r *loyalty.Result, at time.Time) (*loyalty.Member, error) {
	return b.rb.Apply(m, r, at), nil
}

func (b *book) Return(_ int64, m *loyalty.Member, r *loyalty.ReturnResult, at time.Time) (*loyalty.Member, error) {
	return b.rb.ApplyReturn(m, r, at), nil
}

func (b *book) Void(_ int64, m *loyalty.Member, r *loyalty.Result, already []*loyalty.ReturnResult, at time.Time) (*loyalty.Member, error) {
	rest, err := b.rb.Return(r, already, nil)
	if err != nil {
		return nil, err
	}
	return b.rb.ApplyReturn(m, rest, at), nil
}

func (b *book) Replay(_ int64, sale *loyalty.Result, before *loyalty.ReturnResult, lines []loyalty.ReturnLine) (*loyalty.ReturnResult, error) {
	return b.rb.Return(sale, []*loyalty.ReturnResult{before}, lines)
}

func (b *book) Shortfall(int64) string { return b.policy }

// twoLines is a sale of two kinds of goods, 4 of the first and 1 of the
// second, with points earned on each, points spent, and a coupon used.
func twoLines(p *wire.Commit, r *loyalty.Result) {
	r.Lines = []loyalty.LineResult{
		{ID: "1", SKU: "a", Quantity: 4000, Gross: 4000, Redeemed: 400, Spent: 400, Net: 3600, Earned: []loyalty.LineEarning{{Rule: "base", Wallet: "points", Points: 200}}},
		{ID: "2", SKU: "b", Quantity: 1000, Gross: 1000, Net: 1000, Earned: []loyalty.LineEarning{{Rule: "base", Wallet: "points", Points: 100}}},
	}
	r.Totals = loyalty.Totals{Gross: 5000, Redeemed: 400, Net: 4600}
	r.Spend = &loyalty.Spending{Wallet: "points", Points: 400, Value: 400}
	r.Coupons = []loyalty.CouponUse{{Code: "TEN", Rule: "ten", State: "used", Uses: 1}}
	p.Hold = "h"
}

// ret writes a return as a till does that knows of no other.
func (d *device) ret(t *testing.T, b *book, sale wire.Mark, of *device, lines ...loyalty.ReturnLine) {
	t.Helper()
	var p wire.Commit
	r := &loyalty.Result{Rulebook: "shop@1", Currency: "GBP", Earned: []loyalty.Earning{{Rule: "base", Wallet: "points", Points: 300}}}
	twoLines(&p, r)
	res, err := b.rb.Return(r, nil, lines)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(res)
	back := wire.Return{Original: "2", Reverses: &sale, Member: ann.String(), Result: raw, At: d.c.now}
	if of != d {
		back.Device = of.id
	}
	for _, e := range res.PointsTaken {
		back.Moves = append(back.Moves, moves(e.Points, 0)...)
	}
	for _, e := range res.PointsBack {
		back.Moves = append(back.Moves, moves(0, e.Points)...)
	}
	d.log(wire.TypeReturn, "2", back)
}

// Two tills that know nothing of each other take goods of one sale back: each
// line once, and together as much as the whole would have been.
func TestTwoTillsTakeTheSameGoodsBack(t *testing.T) {
	b := newBook(t, "")
	first, second := loyalty.ReturnLine{ID: "1", Quantity: 3000}, loyalty.ReturnLine{ID: "2", Quantity: 1000}
	whole1 := loyalty.ReturnLine{ID: "1", Quantity: 4000}
	// The member has 600 left after the sale and earned 300 by it.
	for name, x := range map[string]struct {
		d, e  []loyalty.ReturnLine
		want  Balance
		twice int
		state string
		free  bool // the coupon may be used again
	}{
		"the same line":         {[]loyalty.ReturnLine{first}, []loyalty.ReturnLine{whole1}, Balance{Available: 600 + 100 + 400, Issued: -1100}, 1, partlyReturned, false},
		"the same line, in all": {[]loyalty.ReturnLine{whole1}, []loyalty.ReturnLine{whole1}, Balance{Available: 600 + 100 + 400, Issued: -1100}, 1, partlyReturned, false},
		"one line each":         {[]loyalty.ReturnLine{whole1}, []loyalty.ReturnLine{second}, Balance{Available: 1000, Issued: -1000}, 0, returned, true},
		"all and all":           {[]loyalty.ReturnLine{whole1, second}, []loyalty.ReturnLine{whole1, second}, Balance{Available: 1000, Issued: -1000}, 1, returned, true},
		"a part and all":        {[]loyalty.ReturnLine{first}, []loyalty.ReturnLine{whole1, second}, Balance{Available: 1000, Issued: -1000}, 1, returned, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t)
			c.l.Rules = b
			c.member(ann)
			d, e := c.device(1), c.device(2)
			d.sale("1", ann, 1000, func(_ *wire.Commit, r *loyalty.Result) {
				r.Coupons = []loyalty.CouponUse{{Code: "TEN", Rule: "ten", State: "issued", Uses: 1}}
			})
			d.flush()
			if err := c.hold("h", ann, 400, d); err != nil {
				t.Fatal(err)
			}
			sale := d.sale("2", ann, 300, twoLines)
			d.ret(t, b, sale, d, x.d...)
			d.flush()
			e.ret(t, b, sale, d, x.e...)
			if p := e.flush(); len(p) != 0 {
				t.Errorf("parked %v", p)
			}
			c.want(ann, x.want)
			if f := c.findings(); f["returned_twice"] != x.twice || f["returned_too_much"] != 0 || f["loss_return"] != 0 {
				t.Errorf("findings %v", f)
			}
			c.read(func(tx *db.Tx) error {
				all, err := MemberReceipts(tx, ann, 10)
				if err != nil || len(all) != 4 || all[2].State != x.state {
					t.Errorf("receipts %+v, %v", all, err)
				}
				have, err := Holdings(tx, []loyalty.MemberID{ann})
				if got := have[ann].Coupons["TEN"].Uses; (got == 1) != x.free {
					t.Errorf("coupon has %d uses", got)
				}
				return err
			})
		})
	}
}

// What the member has spent since is the shop's; a programme may also leave
// everything that is not pending any more.
func TestShortfallPolicy(t *testing.T) {
	for policy, want := range map[string]Balance{
		"":             {Available: 0, Spent: 80, Lost: -80},
		"unlimited":    {Available: 0, Spent: 80, Lost: -80},
		"only_pending": {Available: 20, Spent: 80, Lost: -100},
	} {
		c := open(t)
		c.l.Rules = newBook(t, policy)
		c.member(ann)
		d := c.device(1)
		sale := d.sale("1", ann, 100)
		d.flush()
		if err := c.hold("h", ann, 80, d); err != nil {
			t.Fatal(err)
		}
		d.sale("2", ann, 0, spend("h", 80))
		d.giveBack(sale, d, ann, 100, 0)
		d.flush()
		c.want(ann, want)
		if f := c.findings(); f["loss_return"] != 1 {
			t.Errorf("%q: findings %v", policy, f)
		}
	}
}
