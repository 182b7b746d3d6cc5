package store_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/store/storetest"
)

// inTurn times a and b by turns, so that a noisy machine treats both alike,
// and gives the median of each.
func inTurn(rounds int, a, b func()) (time.Duration, time.Duration) {
	var ta, tb []time.Duration
	for range rounds {
		t := time.Now()
		a()
		m := time.Now()
		b()
		ta, tb = append(ta, m.Sub(t)), append(tb, time.Since(m))
	}
	slices.Sort(ta)
	slices.Sort(tb)
	return ta[rounds/2], tb[rounds/2]
}

// BenchmarkIdentifyRatio holds a look-up in a cache of a million members
// against a plain bbolt Get of as many values of the same size.
func BenchmarkIdentifyRatio(b *testing.B) {
	const n, batch = 1_000_000, 1000
	c := openCache(b, b.TempDir())
	if err := c.Load(entries(n)); err != nil {
		b.Fatal(err)
	}
	plain := plainBolt(b, n)
	i := uint64(0)
	next := func() uint64 { i = (i + 7919*31) % n; return i }
	ours := func() {
		for range batch {
			if s, err := c.Member(ref(next())); err != nil || s == nil {
				b.Fatal(err)
			}
		}
	}
	theirs := func() {
		for range batch {
			err := plain.View(func(tx *bbolt.Tx) error {
				r := ref(next())
				if tx.Bucket([]byte("m")).Get(r[:8]) == nil {
					return fmt.Errorf("no member %d", i)
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		us, them := inTurn(101, ours, theirs)
		b.ReportMetric(float64(us)/float64(them), "x-plain-bbolt")
		b.ReportMetric(float64(us)/batch, "ns/look-up")
	}
}

func plainBolt(b *testing.B, n uint64) *bbolt.DB {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "plain.db"), 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	keys := make([]uint64, n)
	for i := range keys {
		r := ref(uint64(i))
		keys[i] = binary.BigEndian.Uint64(r[:8])
	}
	slices.Sort(keys)
	err = db.Update(func(tx *bbolt.Tx) error {
		m, err := tx.CreateBucket([]byte("m"))
		if err != nil {
			return err
		}
		m.FillPercent = 1
		value := make([]byte, 50)
		for _, k := range keys {
			if err := m.Put(binary.BigEndian.AppendUint64(nil, k), value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// BenchmarkCaptureRatio holds the transaction of a captured receipt against
// appending as many bytes to a file and flushing it.
func BenchmarkCaptureRatio(b *testing.B) {
	j := storetest.Open(b, b.TempDir(), &storetest.Clock{})
	f, err := os.Create(filepath.Join(b.TempDir(), "flat"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	body := fmt.Appendf(nil, "%q", strings.Repeat("x", 500))
	i := 0
	ours := func() {
		i++
		err := j.Update(func(tx *store.Tx) error {
			if err := tx.PutReceipt(&store.Receipt{ID: fmt.Sprint(i), State: store.Captured, Basket: body, Result: body}); err != nil {
				return err
			}
			return tx.PutAnswer(fmt.Sprint("k", i), &store.Answer{Status: 200, Body: body})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	theirs := func() {
		for range 3 {
			if _, err := f.Write(body); err != nil {
				b.Fatal(err)
			}
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		us, them := inTurn(301, ours, theirs)
		b.ReportMetric(float64(us)/float64(them), "x-append-and-flush")
		b.ReportMetric(float64(us.Microseconds()), "us/capture")
	}
}
