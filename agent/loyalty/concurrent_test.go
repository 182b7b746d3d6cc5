package loyalty_test

import (
	"bytes"
	"encoding/json"
	"sync"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
)

// TestConcurrentPrice: one rulebook prices for many at once, in different
// hours, and each gets what it would get alone.
func TestConcurrentPrice(t *testing.T) {
	s := lcg(7)
	rb := benchBook(t, 100, 0)
	var ins []loyalty.Input
	var want [][]byte
	for n := range 20 {
		in := loyalty.Input{Receipt: genReceipt(&s), Member: genMember(&s), Trace: loyalty.TraceAll}
		in.Receipt.Time = noon.AddDate(0, 0, n%3)
		res, err := rb.Price(in)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		ins, want = append(ins, in), append(want, b)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for round := range 20 {
				k := round % len(ins)
				res, err := rb.Price(ins[k])
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := json.Marshal(res); err != nil || !bytes.Equal(b, want[k]) {
					t.Errorf("input %d gives another result beside others", k)
				}
			}
		})
	}
	wg.Wait()
}
