package ledger

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

// BenchmarkIngest measures how many records a second become durable with
// entries, balances, purchase history and the tills' feed, from many tills at
// once. The goal is 60,000 rows/s (design, section 9): a row is a record that
// books points. "decode" includes reading and checking the records' JSON.
func BenchmarkIngest(b *testing.B) {
	for _, decode := range []bool{false, true} {
		name := "book"
		if decode {
			name = "decode+book"
		}
		b.Run(name, func(b *testing.B) { benchIngest(b, 16, 20_000, decode) })
	}
}

func benchIngest(b *testing.B, tills, people int, decode bool) {
	c := newCentre(b, b.TempDir())
	defer c.close()
	ids := make([]any, 0, 2*people)
	for i := range people {
		ids = append(ids, int64(i+1)*7919, 0)
	}
	c.write(func(tx *db.Tx) error { return tx.InsertMany(`INSERT INTO member (id, made) VALUES`, 2, ids, ``) })
	devices := make([]*device, tills)
	per := (b.N + tills - 1) / tills
	for i := range devices {
		d := c.device(int64(i + 1))
		devices[i] = d
		for k := range per {
			d.sale(fmt.Sprintf("%d-%d", i, k), loyalty.MemberID((i*31+k*17)%people+1)*7919, loyalty.Points(100+k%50))
		}
	}
	raws := make([][][]byte, tills)
	for i, d := range devices {
		for _, it := range d.queue {
			raws[i] = append(raws[i], it.Raw)
		}
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, d := range devices {
		wg.Go(func() {
			for from := 0; from < per; from += 100 {
				n := min(100, per-from)
				if decode {
					for k := range n {
						it := d.queue[k]
						rec, err := wire.DecodeRecord(raws[i][from+k])
						if err != nil {
							b.Error(err)
							return
						}
						d.queue[k] = Prepare(it.Seq, raws[i][from+k], rec, "")
					}
				}
				batch := d.batch(n)
				if _, err := c.in.Ingest(context.Background(), batch); err != nil {
					b.Error(err)
					return
				}
				d.acked, d.queue = batch.Last, d.queue[n:]
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(per*tills)/b.Elapsed().Seconds(), "rows/s")
}
