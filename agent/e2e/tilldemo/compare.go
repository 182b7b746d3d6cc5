package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tillside/tillside/agent/e2e/world"
	"github.com/tillside/tillside/agent/loyalty"
)

// drained waits until every till's journal is acknowledged by the centre.
func drained(ctx context.Context, w *world.World) error {
	for _, t := range w.Tills {
		err := world.Wait(ctx, time.Minute, func() (bool, error) {
			var s struct {
				Journal struct{ Seq, Acked uint64 }
			}
			err := t.Cash.Call(ctx, "GET", "/v1/status", "", nil, &s)
			return err == nil && s.Journal.Seq == s.Journal.Acked, nil
		})
		if err != nil {
			return fmt.Errorf("the journal of till %s did not drain: %w", t.Name, err)
		}
	}
	return nil
}

// ledger is what the centre says of itself.
type ledger struct {
	Receipts, Returns, Voided, Parked, Waiting, Findings int64
	Wallets                                              []struct {
		Wallet                            string
		Earned, Spent, Reversed, Restored loyalty.Points
		Unclaimed, Lost                   loyalty.Points
	}
}

// compare prints both sides and fails unless they agree in every figure.
func compare(ctx context.Context, out io.Writer, w *world.World, counters []*counter) error {
	var sum tally
	captured := map[string]int{}
	for _, c := range counters {
		sum.add(&c.tally)
		for id := range c.tally.captured {
			captured[id]++
		}
	}
	centre, err := centreTotals(ctx, w)
	if err != nil {
		return err
	}
	if centre.Parked+centre.Waiting > 0 {
		return fmt.Errorf("the centre put aside %d records and waits for %d", centre.Parked, centre.Waiting)
	}
	lost, doubled, err := centreReceipts(ctx, w, captured)
	if err != nil {
		return err
	}
	var earned, spent, reversed, restored loyalty.Points
	for _, x := range centre.Wallets {
		earned, spent = earned+x.Earned, spent+x.Spent
		reversed, restored = reversed+x.Reversed, restored+x.Restored
	}
	fmt.Fprintf(out, "%d scans over serial lines (%d repeated), %d sales captured while the cable was cut, %d wishes to spend:\n"+
		"%d granted, %d refused without a link, %d by members who had no points yet,\n"+
		"%d returns of goods bought before the data begins refused in plain words, %d stock write-offs came to nothing\n\n",
		sum.scans, sum.rescans, sum.offline, sum.spendAsked,
		sum.spendAsked-sum.spendOffline-sum.spendNothing, sum.spendOffline, sum.spendNothing, sum.refusedGoods, sum.writeOffs)
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	agree := true
	row := func(name string, tills, centre any) {
		mark := ""
		if tills != centre {
			mark, agree = "  <- differs", false
		}
		fmt.Fprintf(t, "%s\t%v\t%v\t%s\n", name, tills, centre, mark)
	}
	fmt.Fprintln(t, "\ttills\tcentre\t")
	row("sales", int64(sum.sales), centre.Receipts)
	row("voided", int64(sum.voided), centre.Voided)
	row("returns", int64(sum.returns), centre.Returns)
	row("points earned", sum.earned, earned)
	row("points spent", sum.spent, spent)
	row("earned, taken back", sum.reversed, reversed)
	row("spent, given back", sum.givenBack, restored)
	fmt.Fprintf(t, "lost\t\t%d\t\n", len(lost))
	fmt.Fprintf(t, "doubled\t\t%d\t\n", len(doubled))
	if err := t.Flush(); err != nil {
		return err
	}
	if len(lost)+len(doubled) > 0 {
		return fmt.Errorf("lost %v, doubled %v", lost, doubled)
	}
	if !agree {
		return errors.New("tills and centre do not agree")
	}
	if report, err := w.Central(ctx, "ledger", "verify"); err != nil {
		return err
	} else {
		fmt.Fprintf(out, "\nledger verified: %s\ntills and centre agree to the hundredth of a point\n", strings.TrimSpace(report))
	}
	return nil
}

func centreTotals(ctx context.Context, w *world.World) (*ledger, error) {
	text, err := w.Central(ctx, "ledger", "totals", "--json")
	if err != nil {
		return nil, err
	}
	var l ledger
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return nil, fmt.Errorf("read the centre's totals: %w", err)
	}
	return &l, nil
}

// centreReceipts holds the centre's list of sales against what the tills
// captured, receipt by receipt.
func centreReceipts(ctx context.Context, w *world.World, captured map[string]int) (lost, doubled []string, err error) {
	text, err := w.Central(ctx, "ledger", "receipts", "--json")
	if err != nil {
		return nil, nil, err
	}
	there := map[string]int{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		var r struct{ Kind, Number string }
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, nil, fmt.Errorf("read the centre's receipts: %w", err)
		}
		if r.Kind == "sale" {
			there[r.Number]++
		}
	}
	for id := range captured {
		if there[id] == 0 {
			lost = append(lost, id)
		}
	}
	for id, n := range there {
		if n > 1 || captured[id] == 0 {
			doubled = append(doubled, id)
		}
	}
	return lost, doubled, lines.Err()
}

func (t *tally) add(o *tally) {
	t.sales += o.sales
	t.returns += o.returns
	t.voided += o.voided
	t.refusedGoods += o.refusedGoods
	t.writeOffs += o.writeOffs
	t.scans += o.scans
	t.rescans += o.rescans
	t.offline += o.offline
	t.spendAsked += o.spendAsked
	t.spendOffline += o.spendOffline
	t.spendNothing += o.spendNothing
	t.earned += o.earned
	t.spent += o.spent
	t.reversed += o.reversed
	t.givenBack += o.givenBack
}
