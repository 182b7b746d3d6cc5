package agent

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/wire"
)

// TestQuotasCountOnce: however often the lane is read, also from its start
// after the cache was lost, a grant adds once.
func TestQuotasCountOnce(t *testing.T) {
	k := newTaker(t)
	item := func(g wire.QuotaGrant) wire.CommandItem {
		raw, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		return wire.CommandItem{ID: "q", Do: wire.CommandQuota, Args: raw}
	}
	all := []any{
		item(wire.QuotaGrant{No: 3, Budget: "p/b", Epoch: 1, Money: "10.00", Points: "0.00"}),
		item(wire.QuotaGrant{No: 4, Budget: "p/b", Epoch: 9, Money: "10.00"}),        // to another epoch
		item(wire.QuotaGrant{No: 5, Budget: "p/b", Epoch: 1, Money: "-10.00"}),       // nonsense
		item(wire.QuotaGrant{No: 5, Budget: "p/b", Epoch: 1, Points: "five"}),        // nonsense
		wire.CommandItem{ID: "q", Do: wire.CommandQuota, Args: json.RawMessage(`7`)}, // nonsense
		item(wire.QuotaGrant{No: 6, Budget: "p/b", Epoch: 1, Money: "2.50", Count: 4}),
	}
	k.feed(wire.LaneCommand, 0, all...)
	k.upto[wire.LaneCommand] = 0
	k.feed(wire.LaneCommand, 0, all...)
	if err := k.Apply(context.Background(), &wire.Feed{Lane: wire.LaneCommand, Reset: true, Upto: 9}); err != nil {
		t.Fatal(err)
	}
	_ = k.journal.View(func(tx *store.Tx) error {
		q, err := tx.Quota("p/b")
		if err != nil || q == nil || *q != (loyalty.Quota{Money: 1250, Count: 4}) {
			t.Errorf("quota %+v, %v", q, err)
		}
		return nil
	})
	if got := k.records(); len(got) != 0 {
		t.Errorf("records %v", got)
	}
}
