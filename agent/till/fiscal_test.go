package till

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
)

// TestDiscountsOfLimitedPrinters: what a printer does not take off a whole
// receipt goes off its lines, to the penny, and each unit of a line has the
// same discount afterwards.
func TestDiscountsOfLimitedPrinters(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 5))
	sums := func(d *fiscalDoc) (gross, discount int64) {
		for _, it := range d.items {
			sum, ok := times(it.Price, it.Quantity)
			if !ok {
				t.Fatal("out of range")
			}
			gross, discount = gross+sum, discount+it.Discount
		}
		return gross, discount
	}
	for range 2000 {
		d := &fiscalDoc{reason: "Card"}
		for range 1 + rng.IntN(6) {
			it := drivers.Item{Name: "x", Price: 1 + rng.Int64N(5000), Quantity: 1000 * (1 + rng.Int64N(9))}
			if rng.IntN(4) == 0 {
				it.Quantity = 1 + rng.Int64N(3000)
			}
			sum, _ := times(it.Price, it.Quantity)
			it.Discount = rng.Int64N(sum/2 + 1)
			d.items = append(d.items, it)
		}
		gross, before := sums(d)
		d.discount = rng.Int64N(gross - before + 1)
		want := before + d.discount
		d.spread()
		d.split()
		g, got := sums(d)
		if g != gross || got != want || d.discount != 0 {
			t.Fatalf("gross %d, discount %d and %d left; want %d, %d: %+v", g, got, d.discount, gross, want, d.items)
		}
		for _, it := range d.items {
			sum, _ := times(it.Price, it.Quantity)
			if it.Discount < 0 || it.Discount > sum || it.Quantity <= 0 || it.Quantity%1000 == 0 && it.Discount%(it.Quantity/1000) != 0 {
				t.Fatalf("%+v", it)
			}
		}
		if d.head.Lines != len(d.items) {
			t.Fatalf("%d lines announced, %d there", d.head.Lines, len(d.items))
		}
	}
}
