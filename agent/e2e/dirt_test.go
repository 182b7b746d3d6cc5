package e2e

import (
	"os"
	"testing"

	"github.com/tillside/tillside/agent/e2e/retail"
	"github.com/tillside/tillside/agent/loyalty"
)

// TestRealReceipts prices every one of the 2,025 real receipts, dirt included:
// none is refused or crashes, every line adds up, nobody is paid for buying,
// and stock write-offs give nothing.
func TestRealReceipts(t *testing.T) {
	data, err := os.ReadFile("tilldemo/rulebook.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := loyalty.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := loyalty.Compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	all, err := retail.Receipts()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		in := loyalty.Input{Receipt: &loyalty.Receipt{ID: r.ID, Time: r.Time, Currency: "GBP", Lines: r.Lines}, Now: r.Time}
		if r.Member != "" {
			in.Member = &loyalty.Member{ID: 1}
		}
		res, err := rules.Price(in)
		if err != nil {
			t.Errorf("receipt %s (%s): %v", r.ID, r.Kind, err)
			continue
		}
		if len(res.Lines) != len(r.Lines) {
			t.Errorf("receipt %s: %d of %d lines", r.ID, len(res.Lines), len(r.Lines))
		}
		var gross, net loyalty.Money
		for i, l := range res.Lines {
			var off loyalty.Money
			for _, d := range l.Discounts {
				off += d.Amount
			}
			if l.Gross-off-l.Redeemed != l.Net {
				t.Errorf("receipt %s line %s: %v - %v - %v is not %v", r.ID, l.ID, l.Gross, off, l.Redeemed, l.Net)
			}
			// Prices of the source have whole pennies and goods come in pieces.
			if want := loyalty.Money(int64(r.Lines[i].Price) / 10_000 * (int64(r.Lines[i].Quantity) / 1000)); l.Gross != want {
				t.Errorf("receipt %s line %s: gross %v, want %v", r.ID, l.ID, l.Gross, want)
			}
			gross, net = gross+l.Gross, net+l.Net
		}
		if res.Totals.Gross != gross || res.Totals.Net != net || net > gross {
			t.Errorf("receipt %s: totals %+v, lines %v and %v", r.ID, res.Totals, gross, net)
		}
		if r.Kind != retail.WriteOff && net < 0 {
			t.Errorf("receipt %s: net %v", r.ID, net)
		}
		if (r.Kind == retail.WriteOff || r.Member == "") && len(res.Earned) > 0 {
			t.Errorf("receipt %s (%s) earned %v", r.ID, r.Kind, res.Earned)
		}
	}
}
