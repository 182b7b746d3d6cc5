package ledger

import (
	"github.com/tillside/tillside/agent/loyalty"
)

// Two tills may take the same goods back, each without knowing of the other.
// The journal order decides: what is left of each line when a return is booked
// comes back, the rest is a finding and moves nothing. Where a return met
// others that its till may not have known, the stored sale is replayed here,
// so that parts taken at several tills undo the same as the whole at one.

// settled is a return cut down to what is left of its sale. It must be called
// before r is hung into the chain of the member.
func (w *work) settled(m *member, orig *receipt, g *giveback, src Source) (*giveback, error) {
	if len(g.result.Lines) == 0 {
		return g, nil // no lines told: held by points alone
	}
	bundle, sale, err := w.priced(orig)
	if err != nil || sale == nil || len(sale.Lines) == 0 {
		return g, err
	}
	already, err := w.returnsOf(m, orig)
	if err != nil {
		return nil, err
	}
	before, left := cameBack(sale, already)
	var lines []loyalty.ReturnLine
	over := ""
	for _, l := range g.result.Lines {
		n := max(0, min(l.Quantity, left[l.ID]))
		left[l.ID] -= n
		if n < l.Quantity {
			over = l.ID
		}
		if n > 0 {
			lines = append(lines, loyalty.ReturnLine{ID: l.ID, Quantity: n})
		}
	}
	if over == "" && len(already) == 0 {
		return g, nil
	}
	cut := *g
	if over != "" {
		w.find("returned_twice", src, m.id, 0, orig.number+" line "+over)
		cut.result, cut.moves = &loyalty.ReturnResult{}, nil
		if len(lines) == 0 {
			return &cut, nil
		}
	}
	if w.rules == nil {
		return &cut, nil
	}
	res, err := w.rules.Replay(bundle, sale, before, lines)
	if err != nil {
		w.find("return_not_replayed", src, m.id, 0, err.Error())
		return &cut, nil
	}
	cut.result, cut.moves = res, nil
	for _, e := range res.PointsTaken {
		cut.moves = append(cut.moves, back{e.Wallet, e.Points, true})
	}
	for _, p := range res.PointsBack {
		cut.moves = append(cut.moves, back{p.Wallet, p.Points, false})
	}
	return &cut, nil
}

// cameBack sums up returns as one, never above what was sold, with what is
// left of each line.
func cameBack(sale *loyalty.Result, already []*loyalty.ReturnResult) (before *loyalty.ReturnResult, left map[string]loyalty.Quantity) {
	left = make(map[string]loyalty.Quantity, len(sale.Lines))
	for i := range sale.Lines {
		left[sale.Lines[i].ID] = max(0, sale.Lines[i].Quantity)
	}
	before = &loyalty.ReturnResult{}
	for _, a := range already {
		for _, l := range a.Lines {
			if n := min(l.Quantity, left[l.ID]); n > 0 {
				left[l.ID] -= n
				before.Lines = append(before.Lines, loyalty.ReturnedLine{ID: l.ID, Quantity: n})
			}
		}
	}
	return before, left
}

// onlyPending tells whether the programme of a sale takes nothing back but
// what is still pending.
func (w *work) onlyPending(r *receipt) (bool, error) {
	if w.rules == nil {
		return false, nil
	}
	bundle, _, err := w.priced(r)
	if err != nil {
		return false, err
	}
	return w.rules.Shortfall(bundle) == "only_pending", nil
}
