package rfid

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/barcode"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// One card in every notation of the notes.
func TestOneCardManyNames(t *testing.T) {
	forms := map[Notation]string{Hex10: "170009593F", Dec: "98784860479", Dec10: "0000612671", Facility: "009,22847"}
	for _, read := range []string{"170009593F", "170009593f", "170009593F78", "Em-Marine[1700] 009,22847"} {
		n, err := Parse(read, true)
		if err != nil {
			t.Errorf("%s: %v", read, err)
			continue
		}
		for to, want := range forms {
			if got, err := n.Format(to, false); err != nil || got != want {
				t.Errorf("%s as %s: got %q, %v", read, to, got, err)
			}
		}
	}
	for _, read := range []string{"009,22847", "00922847"} {
		n, err := Parse(read, true)
		if err != nil {
			t.Errorf("%s: %v", read, err)
			continue
		}
		if _, err := n.Format(Hex10, false); !errors.Is(err, ErrShort) {
			t.Errorf("%s: a short number was taken for a whole one", read)
		}
		if got, _ := n.Format(Hex10, true); got != "~09593F" {
			t.Errorf("%s: got %q", read, got)
		}
		if got, _ := n.Format(Facility, false); got != "009,22847" {
			t.Errorf("%s: got %q", read, got)
		}
	}
	if n, err := Parse("0000612671", false); err != nil || n.Value != 0x0009593F || n.Bits != 32 {
		t.Errorf("%+v %v", n, err)
	}
	if n, err := Wiegand([]byte{0x09, 0x59, 0x3F}); err != nil || n.Value != 0x09593F {
		t.Errorf("%+v %v", n, err)
	}
}

func TestChecksums(t *testing.T) {
	for _, good := range []string{"62E3086CED08", "0D0042A1B759"} {
		if _, err := Parse(good, true); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if _, err := Parse("62E3086CED09", true); !errors.Is(err, ErrChecksum) {
		t.Error("a wrong checksum was taken")
	}
}

func TestMifare(t *testing.T) {
	for read, want := range map[string]string{
		"Mifare[BCD14264] 1K (0004,08) 066,53692":       "BCD14264",
		"Mifare[FA592F830412E6] UL (0144,00) 004,04838": "FA592F830412E6",
	} {
		n, err := Parse(read, true)
		if err != nil {
			t.Errorf("%s: %v", read, err)
			continue
		}
		if got, _ := n.Format(Hex10, false); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if n, _ := Parse("Mifare[BCD14264] 1K", true); n.Reversed().Value != 0x6442D1BC {
		t.Errorf("reversed: %X", n.Reversed().Value)
	}
	if _, err := Parse("Mifare[08D14264] 1K", true); !errors.Is(err, ErrRandom) {
		t.Error("a phone's random number was taken for a card")
	}
}

func TestNoCard(t *testing.T) {
	for _, s := range []string{"No card", "No Card"} {
		if _, err := Parse(s, true); !errors.Is(err, ErrNoCard) {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{"", "hello", "999,22847", "009,99999", "9999999999", "Em-Marine[17] 1,2"} {
		if _, err := Parse(s, false); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestReaderBytes(t *testing.T) {
	bytes, _ := hex.DecodeString("02313730303039353933463738" + "03")
	d := barcode.NewDecoder(barcode.Rules{End: "auto"})
	d.Parse = Rules{Notation: Hex10, HexDigits: true}.Read
	got := d.Feed(bytes, drivers.Env{}.Time())
	if len(got) != 1 || got[0].Text != "170009593F" || got[0].Source != drivers.FromRFID {
		t.Errorf("%d readings", len(got))
	}
}

func TestSuite(t *testing.T) {
	drivertest.Reader(t, func(t *testing.T) drivertest.ReaderRig {
		m := emulator.NewScanner(emulator.ScannerSettings{Suffix: "\r\n"})
		return drivertest.ReaderRig{
			Rig: drivertest.Rig{Driver: Driver, Machine: m, Options: drivers.Options{"repeat": "0s", "gap": "2s"}},
			Send: func(n string) string {
				n = n[len(n)-10:]
				m.Scan(strings.ToLower(n))
				return n
			},
			Raw: func(b []byte) { m.Raw(b) },
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"170009593F", "170009593F78", "Em-Marine[1700] 009,22847", "Mifare[FA592F830412E6] UL", "009,22847"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, hexDigits bool) {
		n, err := Parse(s, hexDigits)
		if err != nil {
			return
		}
		for _, to := range []Notation{Hex10, Dec, Dec10, Facility} {
			if text, err := n.Format(to, true); err != nil || text == "" {
				t.Fatalf("%q: %v", s, err)
			}
		}
	})
}
