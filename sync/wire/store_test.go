package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"testing"
)

func voucher() *Voucher {
	return &Voucher{Hold: "h", Member: "00000000000000aa", Wallet: "points", Points: "5.00", Leases: []LeasePart{{"l1", "3.00"}, {"l2", "2.00"}}, Receipt: "A-1",
		For: "dev-0123456789", Keeper: "dev-9876543210", Epoch: 2, Seq: 17}
}

func TestVoucherIsTheKeepersWord(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	public := key.Public().(ed25519.PublicKey)
	v := voucher()
	if err := v.Sign(key); err != nil {
		t.Fatal(err)
	}
	if err := v.Verify(public); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(v *Voucher){
		"points": func(v *Voucher) { v.Points = "6.00" }, "member": func(v *Voucher) { v.Member = "00000000000000ab" }, "for": func(v *Voucher) { v.For = "dev-0123456780" },
		"receipt": func(v *Voucher) { v.Receipt = "A-2" }, "part": func(v *Voucher) { v.Leases[1].Points = "3.00" }, "epoch": func(v *Voucher) { v.Epoch++ },
		"hold": func(v *Voucher) { v.Hold = "h2" }, "wallet": func(v *Voucher) { v.Wallet = "miles" }, "seq": func(v *Voucher) { v.Seq++ },
		// A line end could move one value into another.
		"line end": func(v *Voucher) { v.Hold, v.Receipt = "h\nA-1", "" }, "no part": func(v *Voucher) { v.Leases = nil },
	} {
		w := voucher()
		w.Sig = v.Sig
		change(w)
		if err := w.Verify(public); !errors.Is(err, ErrVoucher) && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
}

func FuzzVoucher(f *testing.F) {
	b, _ := json.Marshal(voucher())
	f.Add(b)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v Voucher
		if json.Unmarshal(b, &v) != nil || v.Sign(key) != nil {
			return
		}
		if err := v.Verify(key.Public().(ed25519.PublicKey)); err != nil {
			t.Error(err)
		}
		other := v
		other.Points += "0"
		if other.Verify(key.Public().(ed25519.PublicKey)) == nil {
			t.Error("other points, same signature")
		}
	})
}

func TestRosterCheck(t *testing.T) {
	key := make([]byte, ed25519.PublicKeySize)
	good := StoreTill{Device: "dev-0123456789", Epoch: 1, Till: "1", Key: key}
	for name, r := range map[string]StoreRoster{
		"short key": {Tills: []StoreTill{{Device: "dev-0123456789", Epoch: 1, Key: key[:5]}}}, "no device": {Tills: []StoreTill{{Device: "x", Epoch: 1, Key: key}}},
		"no epoch": {Tills: []StoreTill{{Device: "dev-0123456789", Key: key}}}, "twice": {Tills: []StoreTill{good, good}}, "too many": {Tills: make([]StoreTill, MostStoreTills+1)},
	} {
		if err := r.Check(); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if err := (&StoreRoster{Tills: []StoreTill{good}}).Check(); err != nil {
		t.Error(err)
	}
}

func FuzzRoster(f *testing.F) {
	f.Add([]byte(`{"store":"A","term":1,"keeper":"dev-0123456789","tills":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r StoreRoster
		if ReadItem(b, &r) == nil && r.Check() == nil {
			for _, x := range r.Tills {
				if r.Till(x.Device) == nil {
					t.Error("a till that is not found")
				}
			}
		}
	})
}
