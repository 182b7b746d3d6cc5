package central

import (
	"context"
	"fmt"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/wire"
)

// mostNamesakes bounds the sales and returns of one number that are looked
// at: numbers repeat between tills and years.
const mostNamesakes = 500

// askReceipt finds the sale that goods come back from, and what came back of
// it already, in the stored records of whichever till sold them.
func (b *backend) askReceipt(ctx context.Context, q wire.AskReceipt) (*wire.AnswerReceipt, error) {
	answer := &wire.AnswerReceipt{}
	if q.Number == "" && q.Fiscal == "" || len(q.Number) > 100 || len(q.Fiscal) > 100 {
		return answer, nil
	}
	err := b.db.Read(ctx, func(tx *db.Tx) (err error) {
		if q.Number == "" {
			// Find out which sale it is, then go on as if it had been named.
			q, answer.Reason, err = byFiscal(tx, q)
			if err != nil || q.Number == "" {
				return err
			}
		}
		all, err := ledger.Receipts(tx, ledger.Filter{Number: q.Number}, mostNamesakes)
		if err != nil {
			return err
		}
		if len(all) == mostNamesakes {
			answer.Reason = wire.ReceiptAmbiguous
			return nil
		}
		devices, err := devicesOf(tx, all)
		if err != nil {
			return err
		}
		sale, reason := pickSale(all, devices, q)
		if sale == nil {
			answer.Reason = reason
			return nil
		}
		return tellSale(tx, answer, sale, all, devices)
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// byFiscal names the sale of a fiscal number exactly; no number when there is
// none, or a reason.
func byFiscal(tx *db.Tx, q wire.AskReceipt) (wire.AskReceipt, string, error) {
	all, err := ledger.Receipts(tx, ledger.Filter{Fiscal: q.Fiscal}, mostNamesakes)
	if err != nil {
		return q, "", err
	}
	if len(all) == mostNamesakes {
		return q, wire.ReceiptAmbiguous, nil
	}
	devices, err := devicesOf(tx, all)
	if err != nil {
		return q, "", err
	}
	sale, reason := pickSale(all, devices, q)
	if sale == nil {
		return q, reason, nil
	}
	return wire.AskReceipt{Number: sale.Number, Device: devices[sale.Device], Mark: wire.Mark{Epoch: sale.Epoch, Seq: sale.Seq}}, "", nil
}

// devicesOf names the devices of receipts.
func devicesOf(tx *db.Tx, all []ledger.Receipt) (map[int64]string, error) {
	devices := map[int64]string{}
	for i := range all {
		if _, ok := devices[all[i].Device]; ok {
			continue
		}
		var id string
		if _, err := tx.Row(`SELECT id FROM device WHERE no = ?`, []any{all[i].Device}, &id); err != nil {
			return nil, fmt.Errorf("look up device: %w", err)
		}
		devices[all[i].Device] = id
	}
	return devices, nil
}

// pickSale chooses the sale that is meant; rows come newest first. A voided
// one is meant only when there is no other.
func pickSale(all []ledger.Receipt, devices map[int64]string, q wire.AskReceipt) (best *ledger.Receipt, reason string) {
	for i := range all {
		r := &all[i]
		switch {
		case r.Kind != "sale", q.Store != "" && r.Store != q.Store, q.Till != "" && r.Till != q.Till, q.Device != "" && devices[r.Device] != q.Device,
			q.Mark.Seq != 0 && q.Mark != (wire.Mark{Epoch: r.Epoch, Seq: r.Seq}):
			continue
		case best == nil || best.State == "voided" && r.State != "voided":
			best = r
		case r.State != "voided" && r.Device != best.Device:
			return nil, wire.ReceiptAmbiguous
		}
	}
	return best, ""
}

// tellSale fills the answer from the records as the tills wrote them. Every
// RETURN record bears the number of its sale.
func tellSale(tx *db.Tx, a *wire.AnswerReceipt, sale *ledger.Receipt, all []ledger.Receipt, devices map[int64]string) error {
	var c wire.Commit
	if err := payloadAt(tx, sale, &c); err != nil {
		return err
	}
	*a = wire.AnswerReceipt{Known: true, Number: sale.Number, Device: devices[sale.Device], Mark: wire.Mark{Epoch: sale.Epoch, Seq: sale.Seq}, Store: sale.Store,
		Till: sale.Till, Fiscal: sale.Fiscal, At: sale.At, State: sale.State, CardRef: c.CardRef, Result: c.Result}
	if sale.Member != 0 {
		a.Member = sale.Member.String()
	}
	size := len(a.Result)
	for i := len(all) - 1; i >= 0; i-- {
		r := &all[i]
		if r.Kind != "return" || r.Original != sale.ID {
			continue
		}
		var back wire.Return
		if err := payloadAt(tx, r, &back); err != nil {
			return err
		}
		size += len(back.Result)
		a.Returns = append(a.Returns, wire.ReturnedPart{Device: devices[r.Device], Mark: wire.Mark{Epoch: r.Epoch, Seq: r.Seq}, Result: back.Result})
	}
	if size > wire.MaxReceiptAnswer {
		*a = wire.AnswerReceipt{Reason: wire.ReceiptTooLarge}
	}
	return nil
}

func payloadAt(tx *db.Tx, r *ledger.Receipt, v any) error {
	raw, err := ledger.Record(tx, r.Device, r.Epoch, r.Seq)
	if err == nil && raw == nil {
		err = fmt.Errorf("record %d/%d/%d is not in the journal", r.Device, r.Epoch, r.Seq)
	}
	if err != nil {
		return err
	}
	rec, err := wire.DecodeRecord(raw)
	if err != nil {
		return fmt.Errorf("stored record: %w", err)
	}
	return wire.ReadPayload(rec, v)
}
