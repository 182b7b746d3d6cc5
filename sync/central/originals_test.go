package central_test

import (
	"encoding/json"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/wire"
)

// A till asks for a receipt of another one and for what came back of it.
func TestReceiptOfAnotherTill(t *testing.T) {
	r := start(t)
	id := r.member("4000")
	r.publish(t)
	a, b := r.till("s1", "1"), r.till("s2", "1")
	ref := wire.CardRef(a.answer.LookupKey, wire.KindCard, "4000")
	ask := func(q wire.AskReceipt) wire.AnswerReceipt {
		t.Helper()
		got, err := b.s.AskReceipt(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	until(t, "the other till is online", func() bool { _, err := b.s.AskReceipt(t.Context(), wire.AskReceipt{}); return err == nil })
	mark := a.sale(t, "A-1", id, ref, 2000, 0, "")
	other := a.sale(t, "A-2", 0, wire.Ref{}, 0, 0, "")
	a.drained(t)
	got := ask(wire.AskReceipt{Number: "A-1"})
	var res loyalty.Result
	if err := json.Unmarshal(got.Result, &res); err != nil || !got.Known || got.Device != a.id || got.Mark != mark || got.Store != "s1" || got.Till != "1" ||
		got.Member != id.String() || got.CardRef != ref || got.State != "captured" || got.Fiscal != "F-A-1" || len(res.Earned) != 1 || len(got.Returns) != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if x := ask(wire.AskReceipt{Number: "A-2"}); !x.Known || x.Mark != other || x.Member != "" {
		t.Errorf("a receipt without a member: %+v", x)
	}
	if x := ask(wire.AskReceipt{Fiscal: "F-A-1"}); !x.Known || x.Mark != mark || x.Number != "A-1" || x.Fiscal != "F-A-1" {
		t.Errorf("by its fiscal number: %+v", x)
	}
	for _, q := range []wire.AskReceipt{{Number: "A-3"}, {Fiscal: "F-A-3"}, {Fiscal: "F-A-1", Store: "s2"}, {}, {Number: "A-1", Store: "s2"}, {Number: "A-1", Till: "2"}, {Number: "A-1", Device: b.id},
		{Number: "A-1", Device: a.id, Mark: other}} {
		if x := ask(q); x.Known || x.Reason != "" {
			t.Errorf("%+v: %+v", q, x)
		}
	}

	back := mustMarshal(t, loyalty.ReturnResult{Receipt: "A-1", Whole: true, Lines: []loyalty.ReturnedLine{{ID: "1", SKU: "tea", Quantity: 1000, Gross: 10000, Net: 10000}},
		Totals: loyalty.Totals{Gross: 10000, Net: 10000}, PointsTaken: []loyalty.Earning{{Rule: "base", Wallet: "points", Points: 2000}}})
	ret := b.log(t, wire.TypeReturn, "A-1", wire.Return{Original: "A-1", Reverses: &mark, Device: a.id, Member: id.String(), Result: back,
		Moves: []wire.Move{{Wallet: "points", Points: "20.00", Back: "earned"}}})
	b.drained(t)
	got = ask(wire.AskReceipt{Number: "A-1", Device: a.id, Mark: mark})
	if len(got.Returns) != 1 || got.State != "returned" || got.Returns[0].Device != b.id || got.Returns[0].Mark != ret || string(got.Returns[0].Result) != string(back) {
		t.Errorf("after the return: %+v", got)
	}
	if x := ask(wire.AskReceipt{Fiscal: "F-A-1"}); x.State != "returned" || len(x.Returns) != 1 {
		t.Errorf("by its fiscal number after the return: %+v", x)
	}
	if bal := r.balance(id); bal.Available != 0 {
		t.Errorf("balance %+v", bal)
	}

	// The same number at a third till: which one is meant must be said.
	c := r.till("s1", "2")
	c.sale(t, "A-1", id, ref, 100, 0, "")
	c.drained(t)
	if x := ask(wire.AskReceipt{Number: "A-1"}); x.Known || x.Reason != wire.ReceiptAmbiguous {
		t.Errorf("two sales of one number: %+v", x)
	}
	if x := ask(wire.AskReceipt{Number: "A-1", Store: "s1", Till: "2"}); !x.Known || x.Device != c.id {
		t.Errorf("one of two: %+v", x)
	}
	// Of one till's two, the newest that stands.
	c.log(t, wire.TypeVoid, "A-4", wire.Void{Reverses: new(c.sale(t, "A-4", id, ref, 100, 0, ""))})
	again := c.sale(t, "A-4", id, ref, 100, 0, "")
	c.log(t, wire.TypeVoid, "A-4", wire.Void{Reverses: new(c.sale(t, "A-4", id, ref, 100, 0, ""))})
	c.drained(t)
	if x := ask(wire.AskReceipt{Number: "A-4"}); !x.Known || x.Mark != again {
		t.Errorf("voided twice: %+v, want %+v", x.Mark, again)
	}
	r.sound()
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
