package linktest_test

import (
	"encoding/json"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/wire"
)

// receipt is a payload of the usual size: a closed receipt of three lines.
const receipt = `{"member":"00000000000000aa","points":12,"receipt":{"id":"S1/T1/2026-11-23/0042","lines":[{"id":"1","sku":"22423","quantity":"1","price":"12.75"},{"id":"2","sku":"85123A","quantity":"6","price":"2.55"},{"id":"3","sku":"POST","quantity":"1","price":"18.00"}]},"fiscal":"000123456"}`

// BenchmarkDrain is the backlog of a till over loopback: journal in bbolt on
// disk, zstd batches over a real websocket, hub, and a centre that syncs its
// file before it confirms. The figure is records a second, stored at both
// ends, acknowledgements included.
func BenchmarkDrain(b *testing.B) {
	c := newCentre(b, nil, func(cfg *hub.Config) { cfg.Timing = hub.Timing{} })
	tl := newTill(b, c, 1, func(cfg *uplink.Config) { cfg.Timing = uplink.Timing{RetryMin: time.Nanosecond} })
	tl.url = "ws://" + c.addr
	fill(b, tl, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	tl.start()
	head, err := tl.Box.Head()
	if err != nil {
		b.Fatal(err)
	}
	for {
		a, err := tl.Box.Acked()
		if err != nil {
			b.Fatal(err)
		}
		if a.Seq >= head.Seq {
			break
		}
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	tl.stop()
	if n := len(c.store.Stored(tl.id.Device, 1)); n < b.N {
		b.Fatalf("the centre has %d of %d", n, b.N)
	}
}

func fill(tb testing.TB, tl *till, n int) {
	tb.Helper()
	for done := 0; done < n; {
		k := min(n-done, 1000)
		err := tl.DB.Update(func(tx *bbolt.Tx) error {
			for range k {
				if _, err := tl.Box.Append(tx, outbox.Entry{Type: wire.TypeCommit, Receipt: "S1/T1/0042", Payload: rawReceipt}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
		done += k
	}
}

var rawReceipt = json.RawMessage(receipt)

// BenchmarkSale is one record in its own transaction, with the file synced:
// what a capture costs in the journal.
func BenchmarkSale(b *testing.B) {
	c := newCentre(b, nil, nil)
	tl := newTill(b, c, 1, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tl.Sell("m", 1); err != nil {
			b.Fatal(err)
		}
	}
}
