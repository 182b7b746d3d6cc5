package passthrough

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/drivers/follow"
)

// words collects every text in a document: among them are the SKUs, categories
// and brands its rules are about.
func words(v any, out *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			*out = append(*out, k)
			words(x, out)
		}
	case []any:
		for _, x := range v {
			words(x, out)
		}
	case string:
		if len(v) < 40 {
			*out = append(*out, v)
		}
	}
}

// TestNoRuleMovesAPrice: under every sample rulebook, random receipts of a
// pass-through cost what the till says, while the same receipts without the
// floors do get discounts.
func TestNoRuleMovesAPrice(t *testing.T) {
	files, err := filepath.Glob("../../configs/rulebooks/*.json")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	free := 0 // receipts that would have had a discount
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := loyalty.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		rb, err := loyalty.Compile(doc)
		if err != nil {
			t.Fatal(err)
		}
		var raw any
		if err := json.Unmarshal(b, &raw); err != nil {
			t.Fatal(err)
		}
		var known []string
		words(raw, &known)
		any := func() string { return known[rng.IntN(len(known))] }
		for range 300 {
			r := &follow.Receipt{}
			goods := &Goods{byName: map[string]Good{}, path: "none"}
			for i := range 1 + rng.IntN(8) {
				l := follow.Line{Name: fmt.Sprint("good ", i), Quantity: int64(1+rng.IntN(5)) * 1000, Price: int64(1 + rng.IntN(20000))}
				if rng.IntN(3) == 0 {
					l.Quantity = int64(1 + rng.IntN(4000))
				}
				l.Amount = (l.Price*l.Quantity + 500) / 1000
				if rng.IntN(4) == 0 {
					l.Discount = l.Amount / 10
				}
				goods.byName[key(l.Name)] = Good{any(), any(), any()}
				r.Lines = append(r.Lines, l)
			}
			r.Total, r.Totalled = r.Net(), true
			body, err := json.Marshal(basketOf(r, "", goods))
			if err != nil {
				t.Fatal(err)
			}
			var rc loyalty.Receipt
			if err := json.Unmarshal(body, &rc); err != nil {
				t.Fatal(err)
			}
			m := &loyalty.Member{ID: 1, Tier: any(), Wallets: map[string]loyalty.Balance{"points": {Active: 1e6}}}
			price := func() *loyalty.Result {
				rc.Spend = "max"
				res, err := rb.Price(loyalty.Input{Receipt: &rc, Member: m, Now: now})
				if err != nil {
					t.Fatalf("%s: %v\n%s", file, err, body)
				}
				return res
			}
			if res := price(); int64(res.Totals.Net) != r.Net() || res.Totals.Redeemed != 0 {
				t.Fatalf("%s: the till says %d, the engine %s and %s by points\n%s", file, r.Net(), res.Totals.Net, res.Totals.Redeemed, body)
			}
			for i := range rc.Lines {
				rc.Lines[i].MinPrice = nil
			}
			if res := price(); int64(res.Totals.Net) != r.Net() {
				free++
			}
		}
	}
	if free == 0 {
		t.Error("no rule would have moved a price: this test shows nothing")
	}
	t.Logf("%d of %d receipts would have had a discount", free, 300*len(files))
}
