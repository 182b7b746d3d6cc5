package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
)

// What a member has besides points (tier, counters, stamps, coupons,
// segments given by rules) is moved by the rule engine, from the stored
// results, never from the rules again. When the engine cannot (a till with a
// rulebook this centre never published), the points are booked all the same
// and a finding says so.

// advance moves the state by a captured receipt.
func (w *work) advance(m *member, s *sale, bundle int64, src Source) error {
	r := s.result
	if w.rules == nil || len(r.Counters) == 0 && len(r.Stamps) == 0 && len(r.Coupons) == 0 && len(r.Segments) == 0 && (r.Tier == nil || r.Tier.Before == r.Tier.After) {
		return nil
	}
	if err := w.segments(m, r.Segments); err != nil {
		return err
	}
	return w.restate(m, src, func(have *loyalty.Member) (*loyalty.Member, error) { return w.rules.Advance(bundle, have, r, s.at) })
}

// comeBack moves the state by a return.
func (w *work) comeBack(m *member, orig *receipt, g *giveback, src Source) error {
	r := g.result
	if w.rules == nil || len(r.Counters) == 0 && len(r.Stamps) == 0 && len(r.Coupons) == 0 && len(r.Segments) == 0 {
		return nil
	}
	bundle, _, err := w.priced(orig)
	if err != nil {
		return err
	}
	if err := w.segments(m, r.Segments); err != nil {
		return err
	}
	return w.restate(m, src, func(have *loyalty.Member) (*loyalty.Member, error) { return w.rules.Return(bundle, have, r, g.at) })
}

// undo moves the state by a void: what is left of the receipt goes back.
func (w *work) undo(orig *receipt, src Source) error {
	if w.rules == nil || orig.member == 0 {
		return nil
	}
	m, err := w.member(orig.member)
	if err != nil {
		return err
	}
	bundle, r, err := w.priced(orig)
	if err != nil || r == nil {
		return err
	}
	if len(r.Counters) == 0 && len(r.Stamps) == 0 && len(r.Coupons) == 0 && len(r.Segments) == 0 {
		return nil
	}
	already, err := w.returnsOf(m, orig)
	if err != nil {
		return err
	}
	before, _ := cameBack(r, already)
	already = []*loyalty.ReturnResult{before}
	var undo []loyalty.SegmentMove
	for _, s := range r.Segments {
		s.Out = !s.Out
		undo = append(undo, s)
	}
	if err := w.segments(m, undo); err != nil {
		return err
	}
	return w.restate(m, src, func(have *loyalty.Member) (*loyalty.Member, error) {
		return w.rules.Void(bundle, have, r, already, time.UnixMilli(orig.time).UTC())
	})
}

// restate lets the engine move a member's state.
func (w *work) restate(m *member, src Source, move func(have *loyalty.Member) (*loyalty.Member, error)) error {
	have, err := w.snapshot(m)
	if err != nil {
		return err
	}
	next, err := move(have)
	if err != nil {
		w.find("state_not_moved", src, m.id, 0, err.Error())
		return nil
	}
	n := *next
	// These have their own place: the accounts, and the member room.
	n.Wallets, n.Segments = nil, nil
	m.snapshot = &n
	w.touch(m)
	return nil
}

// priced reads how a receipt was priced out of its stored record.
func (w *work) priced(r *receipt) (bundle int64, result *loyalty.Result, err error) {
	if r.record == nil {
		it, err := w.recall(Source{Device: r.at.device, Epoch: r.at.epoch, Seq: r.at.seq})
		if err != nil {
			return 0, nil, err
		}
		if it == nil {
			return 0, nil, fmt.Errorf("record of receipt %d is not in the journal", r.id)
		}
		r.record = it
	}
	if s, ok := r.record.post.(*sale); ok {
		return r.record.Rec.Bundle, s.result, nil
	}
	return 0, nil, nil
}

// returnsOf collects what came back of a sale so far.
func (w *work) returnsOf(m *member, orig *receipt) ([]*loyalty.ReturnResult, error) {
	if orig.state == captured {
		return nil, nil
	}
	var all []*loyalty.ReturnResult
	for id := m.lastReceipt; id != 0 && id != orig.id; {
		r, err := w.receiptByID(id)
		if err != nil {
			return nil, err
		}
		if r == nil {
			return nil, errors.New("receipts of member are not a chain")
		}
		if r.kind == "return" && r.original == orig.id {
			it := r.record
			if it == nil {
				if it, err = w.recall(Source{Device: r.at.device, Epoch: r.at.epoch, Seq: r.at.seq}); err != nil {
					return nil, err
				}
			}
			if it != nil {
				if g, ok := it.post.(*giveback); ok {
					all = append(all, g.result)
				}
			}
		}
		id = r.prev
	}
	slices.Reverse(all)
	return all, nil
}

// segments moves a member in and out of segments.
func (w *work) segments(m *member, moves []loyalty.SegmentMove) error {
	if len(moves) == 0 {
		return nil
	}
	var raw string
	if _, err := w.tx.Row(`SELECT segments FROM member WHERE id = ?`, []any{int64(m.id)}, &raw); err != nil {
		return fmt.Errorf("read segments: %w", err)
	}
	var have []string
	if err := json.Unmarshal([]byte(raw), &have); err != nil {
		return fmt.Errorf("segments of member %s: %w", m.id, err)
	}
	for _, s := range moves {
		have = slices.DeleteFunc(have, func(x string) bool { return x == s.Segment })
		if !s.Out {
			have = append(have, s.Segment)
		}
	}
	slices.Sort(have)
	b, err := json.Marshal(have)
	if err != nil {
		return err
	}
	w.touch(m)
	return w.tx.Exec(`UPDATE member SET segments = ? WHERE id = ?`, string(b), int64(m.id))
}
