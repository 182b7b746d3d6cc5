package wedge

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/line"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type event struct {
	code  uint16
	value int32
}

func tap(codes ...uint16) []event {
	var out []event
	for _, c := range codes {
		out = append(out, event{c, 1}, event{c, 0})
	}
	return out
}

func TestKeys(t *testing.T) {
	cases := []struct {
		name   string
		events []event
		want   string
	}{
		{"digits and Enter", tap(3, 11, 28), "20\r"},
		{"letters", tap(30, 16, 44, 50, 38), "aqzml"},
		{"signs", tap(12, 13, 39, 51, 52, 53, 57), "-=;,./ "},
		{"keypad", tap(71, 82, 96), "70\r"},
		{"tab", tap(2, 15), "1\t"},
		{"shift", append(append([]event{{42, 1}}, tap(30, 4)...), append([]event{{42, 0}}, tap(30)...)...), "A#a"},
		{"right shift", append(append([]event{{54, 1}}, tap(26)...), event{54, 0}), "{"},
		{"repeats of a held key are not keys", []event{{3, 1}, {3, 2}, {3, 2}, {3, 0}}, "2"},
		{"caps lock does nothing", tap(58, 30), "a"},
		{"Alt and keypad 029", append(append([]event{{56, 1}}, tap(82, 80, 73)...), event{56, 0}), "\x1d"},
		{"unknown key", tap(200, 3), "2"},
	}
	for _, c := range cases {
		var k Keys
		var got []byte
		for _, e := range c.events {
			got = append(got, k.Event(evKey, e.code, e.value)...)
		}
		if string(got) != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	var k Keys
	if k.Event(4, 4, 3) != nil {
		t.Error("an event of another type is a key")
	}
}

// records are events as the input event device gives them.
func records(es []event) []byte {
	var b []byte
	for _, e := range es {
		r := make([]byte, recordSize)
		binary.NativeEndian.PutUint16(r[recordSize-8:], evKey)
		binary.NativeEndian.PutUint16(r[recordSize-6:], e.code)
		binary.NativeEndian.PutUint32(r[recordSize-4:], uint32(e.value))
		b = append(b, r...)
		b = append(b, make([]byte, recordSize)...) // the report that follows each
	}
	return b
}

func TestSuite(t *testing.T) {
	digit := map[rune]uint16{'0': 11}
	for i := range 9 {
		digit[rune('1'+i)] = uint16(2 + i)
	}
	drivertest.Reader(t, func(t *testing.T) drivertest.ReaderRig {
		m := emulator.NewScanner(emulator.ScannerSettings{})
		return drivertest.ReaderRig{
			Rig: drivertest.Rig{Driver: Driver, Machine: m, Options: drivers.Options{"repeat": "0s"}},
			Send: func(n string) string {
				var codes []uint16
				for _, r := range n {
					codes = append(codes, digit[r])
				}
				m.Raw(records(tap(append(codes, keyEnter)...)))
				return n
			},
		}
	})
}

func TestNotAKeyboard(t *testing.T) {
	reg := drivers.NewRegistry()
	reg.Add(Driver)
	dev, err := reg.Build(drivers.Config{Name: "k", Driver: "wedge", Port: "/dev/null"}, drivers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	drivertest.Wait(t, "a state that says so", func() bool {
		c := dev.State().Code
		return c == drivers.BadSettings || c == drivers.Absent
	})
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add(records(tap(3, 11, 28)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var k Keys
		for len(b) >= 8 {
			k.Event(binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]), int32(binary.LittleEndian.Uint32(b[4:])))
			b = b[8:]
		}
	})
}

// TestSessionPort: a reader that a helper feeds is absent until the first word,
// loses nothing of what comes before the line is open, and reads as any other.
func TestSessionPort(t *testing.T) {
	reg := drivers.NewRegistry()
	reg.Add(Driver)
	dev, err := reg.Build(drivers.Config{Name: "k", Driver: "wedge", Port: SessionPort, Options: drivers.Options{"repeat": "0s"}}, drivers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	r := dev.(*Reader)
	if err := r.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Feed([]byte("2000000125008\r")); err != nil {
		t.Fatal(err)
	}
	if s := <-r.Scans(); s.Text != "2000000125008" {
		t.Errorf("read %q", s.Text)
	}
	drivertest.Wait(t, "ready", func() bool { return r.State().Usable() })
	for _, part := range []string{"]E0", "20000", "00125008\r", "4607001234567\r"} {
		if err := r.Feed([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := <-r.Scans(), <-r.Scans(); a.AIM != "]E0" || a.Text != "2000000125008" || b.Text != "4607001234567" {
		t.Errorf("read %q %q, %q", a.AIM, a.Text, b.Text)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	other, err := reg.Build(drivers.Config{Name: "k", Driver: "wedge", Port: "/dev/null"}, drivers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.(*Reader).Feed(nil); err != ErrNoSession {
		t.Errorf("fed another port: %v", err)
	}
}

// TestSessionGoesAway: three beats in silence, and the reader is absent.
func TestSessionGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMailbox()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if err := m.feed(nil); err != nil {
			t.Fatal(err)
		}
		raw, err := m.open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := raw.Read(make([]byte, 8)); !errors.Is(err, line.ErrAbsent) || time.Since(start) != 3*HelperBeat {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		go func() { time.Sleep(time.Minute); _ = m.feed([]byte("x")) }()
		if raw, err = m.open(ctx); err != nil || time.Since(start) != 3*HelperBeat+time.Minute {
			t.Errorf("back after %s: %v", time.Since(start), err)
		}
		if n, err := raw.Read(make([]byte, 8)); n != 1 || err != nil {
			t.Errorf("%d %v", n, err)
		}
	})
}
