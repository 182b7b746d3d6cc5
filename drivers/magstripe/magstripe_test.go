package magstripe

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/barcode"
	"github.com/tillside/tillside/drivers/card"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	bankTrack1 = "%B4000001234567899^IVANOVA/ANNA^29121011234567890?"
	bankTrack2 = ";4000001234567899=29121011234567890?"
)

func TestLRC(t *testing.T) {
	if got := lrc(2, bankTrack2); got != '<' {
		t.Errorf("track 2: %c", got)
	}
	if got := lrc(1, bankTrack1); got != '*' {
		t.Errorf("track 1: %c", got)
	}
}

func TestSwipes(t *testing.T) {
	masks, err := card.ParseMasks([]string{`;778(\d{9})=.*\?`, `0{2}(\d+)`})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, raw, text, card string
		err                   error
		bank                  bool
	}{
		{name: "loyalty track 2", raw: ";778000001234=?", text: "778000001234", card: "000001234"},
		{name: "plain digits", raw: ";0012345?", text: "0012345", card: "12345"},
		{name: "track 2 before track 1", raw: "%778111?;778222=1?", text: "778222"},
		{name: "track 1 alone", raw: "%BABC123^NAME^?", text: "BABC123"},
		{name: "track 3 alone", raw: "+778333?", text: "778333"},
		{name: "second semicolon is track 3", raw: ";E?;778333?", text: "778333"},
		{name: "with check character", raw: ";778000001234=?" + string(lrc(2, ";778000001234=?")), text: "778000001234", card: "000001234"},
		{name: "wrong check character", raw: ";778000001234=?A", err: ErrLRC},
		{name: "bank card", raw: bankTrack1 + bankTrack2, err: barcode.ErrBankCard},
		{name: "bank card with check characters", raw: bankTrack1 + "*" + bankTrack2 + "<", err: barcode.ErrBankCard},
		{name: "bank card on track 1 only", raw: bankTrack1, err: barcode.ErrBankCard},
		{name: "bank card beside a loyalty track", raw: bankTrack1 + ";778000001234=?", err: barcode.ErrBankCard},
		{name: "bank card with blanks on track 1", raw: "%B4000 0012 3456 7899^A^29?", err: barcode.ErrBankCard},
		{name: "bank card allowed", raw: bankTrack2, text: "4000001234567899", bank: true},
		{name: "read error", raw: "%E?;E?", err: ErrSwipe},
		{name: "one track read", raw: "%E?;778000001234=?", text: "778000001234", card: "000001234"},
		{name: "cut off", raw: ";7780000", err: barcode.ErrIncomplete},
		{name: "too long", raw: ";" + strings.Repeat("7", 60) + "?", err: barcode.ErrTooLong},
		{name: "no track", raw: "2000000125008", err: ErrNoTrack},
		{name: "no number", raw: ";=123?", err: ErrNumber},
		{name: "noise", raw: ";77\x018?", err: barcode.ErrUnreadable},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := Read([]byte(c.raw), c.bank, masks)
			if !errors.Is(err, c.err) || err != nil && (s.Text != "" || s.Tracks != nil) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if s.Text != c.text || s.Card != c.card {
				t.Errorf("got %q, card %q", s.Text, s.Card)
			}
			if err != nil && strings.Contains(fmt.Sprint(err), "4000001") {
				t.Error("the error tells the card")
			}
		})
	}
}

func TestSuite(t *testing.T) {
	drivertest.Reader(t, func(t *testing.T) drivertest.ReaderRig {
		m := emulator.NewScanner(emulator.ScannerSettings{Prefix: ";", Suffix: "=?\r"})
		return drivertest.ReaderRig{
			Rig:  drivertest.Rig{Driver: Driver, Machine: m, Options: drivers.Options{"repeat": "0s", "gap": "2s"}},
			Send: func(n string) string { m.Scan(n); return n },
			Raw:  func(b []byte) { m.Raw(b) },
		}
	})
}

func FuzzTracks(f *testing.F) {
	for _, s := range []string{bankTrack1 + "*" + bankTrack2 + "<", ";E?;778333?", "%;?;%?+#?"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Read(append([]byte(nil), b...), false, nil)
		if err == nil && (s.Text == "" || card.Bank(s.Text)) {
			t.Fatalf("%q gave %q", b, s.Text)
		}
		for _, tr := range s.Tracks {
			if len(tr) > 107 {
				t.Fatal("a track longer than any")
			}
		}
	})
}
