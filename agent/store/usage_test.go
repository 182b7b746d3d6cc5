package store_test

import (
	"errors"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/store/storetest"
)

func TestUseOfLimitsIsSummedUpWithAge(t *testing.T) {
	j := storetest.Open(t, t.TempDir(), &storetest.Clock{})
	b := &store.Booking{}
	for _, day := range []string{"2024-01-01", "2024-01-02", "2026-02-01"} {
		b.Usage = append(b.Usage, loyalty.CounterAdd{Counter: "rule:x", Day: day, Add: 1000})
	}
	err := j.Update(func(tx *store.Tx) error {
		if err := tx.Rebook(nil, b); err != nil {
			return err
		}
		n, err := tx.FoldUsage("2025-01-01", 10)
		if n != 2 || err != nil {
			t.Errorf("%d days, %v", n, err)
		}
		if n, _ := tx.FoldUsage("2025-01-01", 10); n != 0 {
			t.Errorf("%d days again", n)
		}
		u, err := tx.Usage()
		if len(u["rule:x"]) != 2 || u["rule:x"]["0001-01-01"] != 2000 || u["rule:x"]["2026-02-01"] != 1000 {
			t.Errorf("%v", u)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAQuotaIsNeverOverdrawn(t *testing.T) {
	j := storetest.Open(t, t.TempDir(), &storetest.Clock{})
	ten := &store.Booking{Quotas: []loyalty.QuotaUse{{Key: "k", Money: 1000}}}
	six := &store.Booking{Quotas: []loyalty.QuotaUse{{Key: "k", Money: 600}}}
	do := func(f func(tx *store.Tx) error) error { return j.Update(f) }
	if err := do(func(tx *store.Tx) error { return tx.Rebook(nil, six) }); !errors.Is(err, store.ErrQuota) {
		t.Errorf("without a quota: %v", err)
	}
	if err := do(func(tx *store.Tx) error { return tx.Grant("k", 1, 2, loyalty.Quota{Money: 1000}) }); err != nil {
		t.Fatal(err) // to another epoch: not ours
	}
	if err := do(func(tx *store.Tx) error { return tx.Grant("k", 1, 1, loyalty.Quota{Money: 1000}) }); err != nil {
		t.Fatal(err)
	}
	if err := do(func(tx *store.Tx) error { return tx.Rebook(nil, six) }); err != nil {
		t.Error(err)
	}
	if err := do(func(tx *store.Tx) error { return tx.Rebook(nil, six) }); !errors.Is(err, store.ErrQuota) {
		t.Errorf("6 of 4: %v", err)
	}
	if err := do(func(tx *store.Tx) error { return tx.Rebook(six, ten) }); err != nil {
		t.Errorf("6 given back, 10 taken: %v", err)
	}
	if err := do(func(tx *store.Tx) error { return tx.Rebook(ten, nil) }); err != nil {
		t.Error(err)
	}
	_ = j.View(func(tx *store.Tx) error {
		if q, err := tx.Quota("k"); err != nil || q == nil || q.Money != 1000 {
			t.Errorf("left %+v, %v", q, err)
		}
		return nil
	})
}

func TestAnAbandonedReceiptGivesItsQuotaBack(t *testing.T) {
	clock := &storetest.Clock{}
	j := storetest.Open(t, t.TempDir(), clock)
	err := j.Update(func(tx *store.Tx) error {
		if err := tx.Grant("k", 1, 1, loyalty.Quota{Money: 1000}); err != nil {
			return err
		}
		for id, state := range map[string]store.State{"held": store.Held, "sold": store.Captured} {
			b := &store.Booking{Quotas: []loyalty.QuotaUse{{Key: "k", Money: 300}}}
			if err := tx.Rebook(nil, b); err != nil {
				return err
			}
			if err := tx.PutReceipt(&store.Receipt{ID: id, State: state, Basket: []byte("{}"), Result: []byte("{}"), Booked: b}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Days(t, j, clock, 36)
	err = j.Update(func(tx *store.Tx) error {
		if n, err := tx.PruneReceipts(10); n != 2 || err != nil {
			t.Errorf("%d forgotten, %v", n, err)
		}
		q, err := tx.Quota("k")
		if err == nil && q.Money != 700 {
			t.Errorf("left %v, want 7.00", q.Money)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
