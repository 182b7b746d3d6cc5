package receipt

import (
	"strings"

	"github.com/tillside/tillside/agent/loyalty"
)

// Paragraphs writes a whole sale down as paragraphs, goods,
// discounts and sums, with the loyalty block at its foot. It is no fiscal
// receipt; shops whose cash software prints one leave it out, training and
// trials use it.
func Paragraphs(lang string, r *loyalty.Receipt, res *loyalty.Result) []loyalty.PrintLine {
	var p []loyalty.PrintLine
	pair := func(left, right string, bold bool) {
		p = append(p, loyalty.PrintLine{Kind: "pair", Text: left, Right: right, Bold: bold})
	}
	rule := func() { p = append(p, loyalty.PrintLine{Kind: "rule"}) }

	head := word(lang, "receipt") + " " + res.Receipt
	if r.Time.IsZero() {
		p = append(p, loyalty.PrintLine{Text: head})
	} else {
		pair(head, date(lang, r), false)
	}
	rule()
	for i, l := range res.Lines {
		name := l.SKU
		if i < len(r.Lines) && r.Lines[i].Name != "" {
			name = r.Lines[i].Name
		}
		p = append(p, loyalty.PrintLine{Text: name})
		qty := Number(lang, l.Quantity.String())
		if i < len(r.Lines) {
			price := r.Lines[i].Price.String()
			if whole, frac, _ := strings.Cut(price, "."); len(frac) <= 2 {
				price = Number(lang, whole) + comma(lang) + (frac + "00")[:2]
			} else {
				price = Number(lang, price)
			}
			qty += " x " + price
		}
		pair(qty, Amount(lang, l.Gross), false)
		var off loyalty.Money
		for _, d := range l.Discounts {
			off += d.Amount
		}
		if off != 0 {
			pair(word(lang, "discount"), Amount(lang, -off), false)
		}
	}
	rule()
	if res.Totals.Discount != 0 || res.Totals.Redeemed != 0 {
		pair(word(lang, "gross"), Amount(lang, res.Totals.Gross), false)
	}
	if res.Totals.Discount != 0 {
		pair(word(lang, "discount"), Amount(lang, -res.Totals.Discount), false)
	}
	if res.Totals.Redeemed != 0 {
		pair(word(lang, "paid_points"), Amount(lang, -res.Totals.Redeemed), false)
	}
	pair(word(lang, "total"), Amount(lang, res.Totals.Net)+" "+res.Currency, true)
	for _, t := range r.Tenders {
		name := word(lang, "tender_"+t.Kind)
		if name == "" {
			name = t.Kind
		}
		pair(name, Amount(lang, t.Amount), false)
	}
	if len(res.Print) > 0 {
		rule()
		p = append(p, res.Print...)
	}
	rule()
	return append(p, loyalty.PrintLine{Text: word(lang, "thanks"), Align: "center"})
}

// date is the receipt's own time, as people of a language write it.
func date(lang string, r *loyalty.Receipt) string { return r.Time.Format(dayForm(lang) + " 15:04") }

func comma(lang string) string {
	if lang == "ru" || lang == "pl" {
		return ","
	}
	return "."
}
