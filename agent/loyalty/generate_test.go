package loyalty_test

import (
	"fmt"

	"github.com/tillside/tillside/agent/loyalty"
)

// source makes choices: rapid's for properties, a counter's for goldens.
type source interface {
	// between is a whole number from lo to hi, both included.
	between(lo, hi int) int
}

func oneOf[T any](s source, of ...T) T { return of[s.between(0, len(of)-1)] }

func ptr[T any](v T) *T { return &v }

var (
	genSKUs       = []string{"A", "B", "C", "D", "E", "F"}
	genCategories = []string{"food", "food/bread", "food/dairy", "drinks", "drinks/beer", "tobacco"}
)

// genSelect picks lines in one of the ways an index or a scan finds them.
func genSelect(s source) *loyalty.Select {
	switch s.between(0, 6) {
	case 0:
		return nil
	case 1:
		return &loyalty.Select{SKUs: []string{oneOf(s, genSKUs...), oneOf(s, genSKUs...)}}
	case 2:
		return &loyalty.Select{Categories: []string{oneOf(s, genCategories...)}}
	case 3:
		return &loyalty.Select{Brands: []string{oneOf(s, "x", "y")}}
	case 4:
		return &loyalty.Select{Categories: []string{"food"}, Except: []loyalty.Select{{SKUs: []string{oneOf(s, genSKUs...)}}}}
	case 5:
		return &loyalty.Select{PriceFrom: ptr(loyalty.Price(s.between(0, 20) * 1_000_000))}
	}
	return &loyalty.Select{AnyOf: []loyalty.Select{{SKUs: []string{oneOf(s, genSKUs...)}}, {Categories: []string{oneOf(s, genCategories...)}}}}
}

func genPart(s source) loyalty.Part {
	return loyalty.Part{On: genSelect(s), Quantity: loyalty.Quantity(s.between(1, 3) * 1000)}
}

func genDiscount(s source) loyalty.Reward {
	pct := loyalty.Percent(s.between(1, 1000) * 1000)
	amount := loyalty.Money(s.between(1, 5000))
	switch s.between(0, 9) {
	case 0, 1:
		return loyalty.Reward{PercentOff: &loyalty.PercentOff{Percent: pct, On: genSelect(s), Cap: oneOf(s, 0, 0, amount), Floor: s.between(0, 3) == 0, Units: loyalty.Quantity(oneOf(s, 0, 0, 2) * 1000)}}
	case 2, 3:
		return loyalty.Reward{AmountOff: &loyalty.AmountOff{Amount: amount, On: genSelect(s), Per: oneOf(s, "", "line", "unit"), Split: oneOf(s, "", "by_quantity", "equally")}}
	case 4:
		return loyalty.Reward{NewPrice: &loyalty.NewPrice{Price: loyalty.Price(amount) * 10_000, On: genSelect(s)}}
	case 5:
		return loyalty.Reward{ItemOff: &loyalty.ItemOff{Pick: oneOf(s, "cheapest", "dearest"), Count: int64(s.between(1, 3)), Every: int64(oneOf(s, 0, 3, 4)), On: genSelect(s), Percent: pct}}
	case 6:
		return loyalty.Reward{BuyGet: &loyalty.BuyGet{Buy: genPart(s), Get: genPart(s), Percent: &pct, Times: int64(s.between(0, 3))}}
	case 7:
		parts := []loyalty.Part{genPart(s), genPart(s)}
		for i := range parts {
			if parts[i].On == nil {
				parts[i].On = &loyalty.Select{}
			}
		}
		return loyalty.Reward{Bundle: &loyalty.Bundle{Parts: parts, Percent: pct}}
	case 8:
		return loyalty.Reward{RoundTotal: &loyalty.RoundTotal{Step: loyalty.Money(s.between(1, 500))}}
	}
	return loyalty.Reward{Scale: &loyalty.Scale{By: oneOf(s, "amount", "quantity"), On: genSelect(s), Steps: []loyalty.ScaleStep{
		{From: loyalty.Factor(s.between(0, 3) * 1_000_000), Percent: pct}, {From: 20_000_000, Amount: amount}}}}
}

func genPoints(s source) loyalty.Reward {
	into := loyalty.PointsInto{Wallet: oneOf(s, "", "points", "stars"), Cap: loyalty.Points(oneOf(s, 0, 0, 700))}
	base := loyalty.PointsBase{On: genSelect(s), Base: oneOf(s, "", "gross", "net", "full_price_lines")}
	switch s.between(0, 4) {
	case 0:
		return loyalty.Reward{PointsPercent: &loyalty.PercentPoints{Percent: loyalty.Percent(s.between(1, 3000) * 1000), PointsBase: base, PointsInto: into}}
	case 1:
		return loyalty.Reward{PointsStep: &loyalty.StepPoints{Step: loyalty.Money(s.between(1, 2000)), Points: loyalty.Points(s.between(1, 300)), PointsBase: base, PointsInto: into}}
	case 2:
		return loyalty.Reward{PointsUnit: &loyalty.UnitPoints{Points: loyalty.Points(s.between(1, 300)), On: genSelect(s), PointsInto: into}}
	case 3:
		return loyalty.Reward{PointsTimes: &loyalty.TimesPoints{Times: loyalty.Factor(s.between(11, 40) * 100_000), PointsInto: into}}
	}
	return loyalty.Reward{Points: &loyalty.FixedPoints{Points: loyalty.Points(s.between(1, 5000)), PointsInto: into}}
}

func genCondition(s source) *loyalty.Condition {
	n := ptr(loyalty.Factor(s.between(0, 60) * 1_000_000))
	switch s.between(0, 7) {
	case 0:
		return &loyalty.Condition{Basket: &loyalty.Basket{On: genSelect(s), Range: loyalty.Range{AtLeast: n}}}
	case 1:
		return &loyalty.Condition{Basket: &loyalty.Basket{Measure: "quantity", Range: loyalty.Range{LessThan: n}}}
	case 2:
		return &loyalty.Condition{Lines: &loyalty.LinesHave{Which: oneOf(s, "any", "none", "every"), On: &loyalty.Select{Categories: []string{oneOf(s, genCategories...)}}}}
	case 3:
		return &loyalty.Condition{Coupon: &loyalty.CouponHas{Codes: []string{oneOf(s, "K1", "K2")}}}
	case 4:
		return &loyalty.Condition{Counter: &loyalty.CounterHas{ID: "spend", Range: loyalty.Range{AtLeast: n}}}
	case 5:
		return &loyalty.Condition{Any: []loyalty.Condition{{Event: "e"}, {Basket: &loyalty.Basket{Range: loyalty.Range{MoreThan: n}}}}}
	}
	return nil
}

// genBook makes a rulebook of every kind of reward, grouped and limited.
func genBook(s source) *loyalty.Document {
	d := &loyalty.Document{
		Programme: loyalty.ProgrammeDoc{ID: "gen", Currency: "EUR", Version: 1},
		Settings: loyalty.Settings{
			Rounding:    loyalty.Rounding{Level: oneOf(s, "", "", "unit", "receipt"), Mode: oneOf(s, "", "half_even", "down", "up"), Of: oneOf(s, "", "", "price"), Step: oneOf[loyalty.Money](s, 0, 0, 5), Spare: oneOf(s, "", "", "first_line", "last_line"), Tie: oneOf(s, "", "last")},
			PercentBase: oneOf(s, "", "initial"), InGroup: oneOf(s, "", "best"), CheapestOf: oneOf(s, "", "", "line"), LineFloor: oneOf[loyalty.Money](s, 0, 0, 1),
			AccrualBase: oneOf(s, "", "gross", "net"),
		},
		Wallets: []loyalty.Wallet{{ID: "points", Value: 100, Rounding: loyalty.PointsRounding{Mode: oneOf(s, "", "down"), Level: oneOf(s, "", "line")}},
			{ID: "stars", Value: 5, Active: loyalty.Activation{When: "after", Span: loyalty.Span{N: 14, Unit: "days"}}}},
		Redemption: []loyalty.Redemption{{Wallet: "points", Points: loyalty.Points(s.between(1, 300)), Value: loyalty.Money(s.between(1, 300)), Block: oneOf[loyalty.Points](s, 0, 0, 100), MaxPercent: loyalty.Percent(s.between(1, 100) * 10_000), MinLeft: oneOf[loyalty.Money](s, 0, 1)}},
		Groups:     []loyalty.Group{{ID: "g1", Mode: oneOf(s, "", "stack", "best", "best_per_line", "first")}, {ID: "g2", Not: oneOf(s, "", "excluded")}},
		Legal: []loyalty.LegalProfile{{ID: "law", Rules: []loyalty.LegalRule{{ID: "t", On: &loyalty.Select{Categories: []string{"tobacco"}}, Ban: []string{"discount", "earn", "spend"}},
			{ID: "beer", On: &loyalty.Select{Categories: []string{"drinks/beer"}}, MinPrice: 2_000_000}}}},
		StampCards: []loyalty.StampCard{{ID: "card", Goal: 5}},
		Counters:   []loyalty.Counter{{ID: "bread", Of: "units", On: &loyalty.Select{Categories: []string{"food/bread"}}}},
	}
	for i := range s.between(1, 8) {
		r := loyalty.Rule{ID: fmt.Sprintf("r%d", i), When: genCondition(s)}
		r.Stacking = loyalty.Stacking{Group: oneOf(s, "", "g1", "g2"), Priority: int64(s.between(0, 2)), Exclusive: oneOf(s, "", "", "", "", "group", "lines", "receipt"), Stop: oneOf(s, "", "", "", "group")}
		for range s.between(1, 2) {
			switch s.between(0, 3) {
			case 0, 1:
				r.Then = append(r.Then, genDiscount(s))
			case 2:
				r.Then = append(r.Then, genPoints(s))
			case 3:
				r.Then = append(r.Then, loyalty.Reward{Stamps: &loyalty.StampReward{Card: "card", Per: oneOf(s, "receipt", "unit"), On: genSelect(s)}})
			}
		}
		if s.between(0, 5) == 0 {
			r.Limits = []loyalty.Limit{{Per: "member", Period: loyalty.Period{Name: "day"}, Count: 2, Money: loyalty.Money(s.between(1, 2000))}}
		}
		d.Rules = append(d.Rules, r)
	}
	return d
}

// genReceipt makes a sale without return lines.
func genReceipt(s source) *loyalty.Receipt {
	r := &loyalty.Receipt{ID: "R", Time: noon}
	for range s.between(0, 9) {
		l := loyalty.Line{SKU: oneOf(s, genSKUs...), Category: oneOf(s, genCategories...), Brand: oneOf(s, "", "x", "y"),
			Quantity: loyalty.Quantity(s.between(1, 7) * 1000), Price: loyalty.Price(s.between(0, 3000) * 10_000)}
		switch s.between(0, 7) {
		case 0:
			l.Quantity, l.Unit = loyalty.Quantity(s.between(1, 5000)), "kg"
		case 1:
			l.MinPrice = ptr(l.Price / 2)
		case 2:
			l.Price += loyalty.Price(s.between(0, 9999))
		case 3:
			l.Marked = true
		}
		r.Lines = append(r.Lines, l)
	}
	if s.between(0, 2) == 0 {
		r.Coupons = []string{"K1"}
	}
	r.Spend = oneOf(s, "", "max", "3.33")
	return r
}

func genMember(s source) *loyalty.Member {
	if s.between(0, 4) == 0 {
		return nil
	}
	return &loyalty.Member{ID: loyalty.MemberID(s.between(1, 1000)), Wallets: map[string]loyalty.Balance{"points": {Active: loyalty.Points(s.between(0, 10_000))}},
		Stamps:   map[string]int64{"card": int64(s.between(0, 4))},
		Counters: map[string]map[string]int64{"spend": {"2026-11-01": int64(s.between(0, 90_000))}}}
}
