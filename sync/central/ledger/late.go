package ledger

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

// applyWaiting books returns whose sale is there now.
func (w *work) applyWaiting() error {
	type row struct {
		src    Source
		on     place
		number string
	}
	var rows []row
	err := w.tx.Rows(`SELECT device, epoch, seq, on_device, on_epoch, on_seq, on_number FROM waiting ORDER BY at, device, epoch, seq LIMIT 5000`, nil, func(r *sql.Rows) error {
		var x row
		if err := r.Scan(&x.src.Device, &x.src.Epoch, &x.src.Seq, &x.on.device, &x.on.epoch, &x.on.seq, &x.number); err != nil {
			return err
		}
		rows = append(rows, x)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read waiting returns: %w", err)
	}
	// Only a sale of this very transaction can be news to a return that
	// already waited: it was looked for when the return came.
	places, numbers := map[place]bool{}, map[string]bool{}
	for _, r := range w.newReceipts {
		if r.kind == "sale" {
			places[r.at], numbers[r.number] = true, true
		}
	}
	for _, x := range rows {
		if x.number == "" && !places[x.on] || x.number != "" && !numbers[x.number] {
			continue
		}
		it, err := w.recall(x.src)
		if err != nil {
			return err
		}
		if it == nil {
			return fmt.Errorf("waiting return %d/%d/%d is not in the journal", x.src.Device, x.src.Epoch, x.src.Seq)
		}
		if err := w.tx.Exec(`DELETE FROM waiting WHERE device = ? AND epoch = ? AND seq = ?`, x.src.Device, int64(x.src.Epoch), int64(x.src.Seq)); err != nil {
			return err
		}
		if err := w.book(it, x.src, nil); err != nil {
			return err
		}
	}
	return nil
}

// recall makes a stored record ready again.
func (w *work) recall(src Source) (*Item, error) {
	raw, err := Record(w.tx, src.Device, src.Epoch, src.Seq)
	if err != nil || raw == nil {
		return nil, err
	}
	rec, err := wire.DecodeRecord(raw)
	if err != nil {
		return nil, fmt.Errorf("stored record: %w", err)
	}
	return Prepare(src.Seq, raw, rec, ""), nil
}

// Claim credits what was kept for a card while nobody knew it. It is called
// in the transaction that gives the card to the member, and tells how many
// records it booked.
func (l *Ledger) Claim(tx *db.Tx, ref wire.Ref, id loyalty.MemberID) (int, error) {
	var rows []Source
	err := tx.Rows(`SELECT device, epoch, seq FROM unclaimed WHERE ref = ? ORDER BY n`, []any{ref[:]}, func(r *sql.Rows) error {
		var s Source
		if err := r.Scan(&s.Device, &s.Epoch, &s.Seq); err != nil {
			return err
		}
		if k := len(rows); k == 0 || rows[k-1] != s { // one row per wallet
			rows = append(rows, s)
		}
		return nil
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	w, err := l.work(tx)
	if err != nil {
		return 0, err
	}
	m, err := w.member(id)
	if err != nil {
		return 0, err
	}
	if !m.known {
		return 0, ErrUnknownMember
	}
	w.refs[ref] = id
	for _, src := range rows {
		if err := w.claim(src, m); err != nil {
			return 0, fmt.Errorf("claim record %d/%d/%d: %w", src.Device, src.Epoch, src.Seq, err)
		}
	}
	if err := tx.Exec(`DELETE FROM unclaimed WHERE ref = ?`, ref[:]); err != nil {
		return 0, err
	}
	return len(rows), w.flush()
}

func (w *work) claim(src Source, m *member) error {
	it, err := w.recall(src)
	if err != nil || it == nil {
		return err
	}
	switch p := it.post.(type) {
	case *sale:
		r, err := w.receipt(place{src.Device, src.Epoch, src.Seq})
		if err != nil || r == nil || r.member != 0 {
			return err
		}
		return w.bookSale(r, m, p, it.Rec.Bundle, src)
	case *giveback:
		r, err := w.receipt(place{src.Device, src.Epoch, src.Seq})
		if err != nil || r == nil || r.member != 0 {
			return err
		}
		orig, err := w.receiptByID(r.original)
		if err != nil || orig == nil || orig.member == 0 {
			return err
		}
		return w.bookReturn(r, orig, p, src)
	}
	return w.apply(it, src)
}

func (w *work) receiptByID(id int64) (*receipt, error) {
	for _, r := range w.receipts {
		if r != nil && r.id == id {
			return r, nil
		}
	}
	var at place
	ok, err := w.tx.Row(`SELECT device, epoch, seq FROM receipt WHERE id = ?`, []any{id}, &at.device, &at.epoch, &at.seq)
	if err != nil || !ok {
		return nil, err
	}
	return w.receipt(at)
}

// Retry books parked records again, oldest first: after an upgrade that knows
// their type, or once their member is there. It tells how many are booked now
// and how many stay parked. Those of a till that was replaced count as well.
func (l *Ledger) Retry(tx *db.Tx, limit int) (booked, left int, err error) {
	w, err := l.work(tx)
	if err != nil {
		return 0, 0, err
	}
	var rows []Source
	err = tx.Rows(`SELECT device, epoch, seq FROM parked WHERE resolved = 0 ORDER BY at, device, epoch, seq LIMIT ?`, []any{limit}, func(r *sql.Rows) error {
		var s Source
		err := r.Scan(&s.Device, &s.Epoch, &s.Seq)
		rows = append(rows, s)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("read parked records: %w", err)
	}
	for _, src := range rows {
		it, err := w.recall(src)
		var p *errPoison
		switch {
		case errors.Is(err, wire.ErrMalformed) || err == nil && it == nil:
			left++
			continue
		case err != nil:
			return 0, 0, err
		}
		if err := w.apply(it, src); errors.As(err, &p) {
			left++
			continue
		} else if err != nil {
			return 0, 0, fmt.Errorf("record %d/%d/%d: %w", src.Device, src.Epoch, src.Seq, err)
		}
		booked++
		err = tx.Exec(`UPDATE parked SET resolved = ? WHERE device = ? AND epoch = ? AND seq = ?`, db.Millis(w.now), src.Device, int64(src.Epoch), int64(src.Seq))
		if err != nil {
			return 0, 0, err
		}
	}
	if err := w.applyWaiting(); err != nil {
		return 0, 0, err
	}
	return booked, left, w.flush()
}
