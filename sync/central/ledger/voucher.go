package ledger

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

// A store's keeper holds points of its leases for another till of the store.
// Two journals tell of it, and they come in any order, late, again or not at
// all:
//
//	keeper      HOLD{hold, leases, for: till 2}      VOID{hold}, when told so
//	till 2      COMMIT{hold, voucher}       or       VOID{hold}
//
// The hold's id is what makes it once: whichever record comes first makes the
// hold known, the first COMMIT or VOID ends it, and everything later finds it
// ended. The voucher, signed by the keeper, stands in for a HOLD that has not
// come. A till that did not get an answer writes VOID before it goes on.

// redeem makes a hold of a voucher, in place of the keeper's HOLD record that
// has not come yet. A voucher that is not good gives nil and a finding.
func (w *work) redeem(v *wire.Voucher, src Source) (*hold, error) {
	var keeper int64
	var key []byte
	ok, err := w.tx.Row(`SELECT no, public_key FROM device WHERE id = ?`, []any{v.Keeper}, &keeper, &key)
	if err != nil {
		return nil, fmt.Errorf("look up keeper: %w", err)
	}
	to, err := w.deviceNo(v.For)
	if err != nil {
		return nil, err
	}
	var m loyalty.MemberID
	bad := m.UnmarshalText([]byte(v.Member))
	if !ok || to == 0 || bad != nil || len(v.Hold) == 0 || len(v.Hold) > 100 || v.Verify(ed25519.PublicKey(key)) != nil {
		w.find("voucher_bad", src, m, 0, v.Hold)
		return nil, nil
	}
	h := &hold{id: v.Hold, member: m, wallet: v.Wallet, device: keeper, to: to, receipt: v.Receipt, state: holdOpen, made: db.Millis(w.now)}
	from := src
	from.Device, from.Epoch = keeper, v.Epoch
	var p *errPoison
	if err := w.takeParts(h, v.Leases, from); errors.As(err, &p) {
		w.find("voucher_bad", src, m, 0, p.why)
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	w.keep(h)
	return h, nil
}
