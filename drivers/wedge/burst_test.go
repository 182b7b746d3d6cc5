package wedge

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// desk types on a keyboard, keeps what reaches the window, and the readings.
type desk struct {
	b      *Burst
	now    time.Time
	window []Press
	scans  []string
}

func newDesk(t *testing.T, by string) *desk {
	t.Helper()
	b, err := NewBurst(by, "F9", 35*time.Millisecond, 6)
	if err != nil {
		t.Fatal(err)
	}
	return &desk{b: b, now: time.Unix(1e9, 0)}
}

func (d *desk) key(p Press) {
	p.At = d.now
	text, swallow, replay := d.b.Key(p)
	if len(text) > 0 {
		d.scans = append(d.scans, string(text))
	}
	d.window = append(d.window, replay...)
	if !swallow {
		d.window = append(d.window, p)
	}
}

func (d *desk) pause(dur time.Duration) {
	for end := d.now.Add(dur); d.now.Before(end); {
		d.now = d.now.Add(5 * time.Millisecond)
		text, replay := d.b.Tick(d.now)
		if len(text) > 0 {
			d.scans = append(d.scans, string(text))
		}
		d.window = append(d.window, replay...)
	}
}

// code is the key of a letter and whether shift is held for it.
func code(r rune) (uint16, bool) {
	for c, x := range plain {
		if x == r && c < 71 && c != 55 {
			return c, false
		}
	}
	for c, x := range shifted {
		if x == r && c < 71 && c != 55 {
			return c, true
		}
	}
	panic("no key for " + string(r))
}

// typed types a text with a time between keys, Enter for a line end.
func (d *desk) typed(s string, each time.Duration) {
	for _, r := range s {
		c, shift := uint16(keyEnter), false
		if r != '\n' {
			c, shift = code(r)
		}
		if shift {
			d.key(Press{Code: keyLeftShift})
		}
		d.key(Press{Code: c})
		d.key(Press{Code: c, Up: true})
		if shift {
			d.key(Press{Code: keyLeftShift, Up: true})
		}
		d.now = d.now.Add(each)
	}
}

func (d *desk) f9() { d.key(Press{Code: 67}); d.key(Press{Code: 67, Up: true}) }

// saw is what the window makes of its keys.
func (d *desk) saw() string {
	var k Keys
	var out []byte
	for _, p := range d.window {
		if p.Code == 67 && !p.Up {
			out = append(out, "<F9>"...)
		}
		out = append(out, k.Event(evKey, p.Code, value(p))...)
	}
	return strings.ReplaceAll(string(out), "\r", "\n")
}

func TestPrefixKeepsTheReadingFromTheWindow(t *testing.T) {
	d := newDesk(t, ByPrefix)
	d.typed("7 * 12\n", 120*time.Millisecond)
	d.f9()
	d.typed("]E02000000125008\n", 4*time.Millisecond)
	d.pause(time.Second)
	d.typed("ab", 90*time.Millisecond)
	d.f9() // a person presses it, and nothing follows in time
	d.pause(time.Second)
	d.typed("c\n", 90*time.Millisecond)
	d.f9()
	d.typed("QR-token_9", 4*time.Millisecond) // without an end
	d.pause(time.Second)
	if got := strings.Join(d.scans, "|"); got != "]E02000000125008\r|QR-token_9\r" {
		t.Errorf("readings %q", got)
	}
	if got := d.saw(); got != "7 * 12\nab<F9>c\n" {
		t.Errorf("the window saw %q", got)
	}
}

func TestTimingTellsScannerFromCashier(t *testing.T) {
	d := newDesk(t, ByTiming)
	d.typed("4607001234567\n", 130*time.Millisecond) // typed by a person
	d.pause(time.Second)
	d.typed("2000000125008\n", 5*time.Millisecond)
	d.pause(time.Second)
	d.typed("12\n", 5*time.Millisecond) // a fast hand
	d.typed("123456", 5*time.Millisecond)
	d.pause(time.Second) // no end
	d.typed("\n", 5*time.Millisecond)
	if got := strings.Join(d.scans, "|"); got != "2000000125008\r" {
		t.Errorf("readings %q", got)
	}
	if got := d.saw(); got != "4607001234567\n2000000125008\n12\n123456\n" {
		t.Errorf("the window saw %q", got)
	}
}

func TestDeviceTakesAllOfItsKeys(t *testing.T) {
	d := newDesk(t, ByDevice)
	d.typed("12", 5*time.Millisecond)
	d.pause(time.Second)
	d.typed("2000000125008\n", 20*time.Millisecond)
	for _, c := range []uint16{71, 72, 75} { // Home, Up, Left are no digits
		d.key(Press{Code: c, Extended: true})
		d.key(Press{Code: c, Extended: true, Up: true})
	}
	d.typed("34\n", 5*time.Millisecond)
	if got := strings.Join(d.scans, "|"); got != "12\r|2000000125008\r|34\r" {
		t.Errorf("readings %q", got)
	}
}

// TestNothingOfTheCashierIsLost types at random, with the prefix key among it:
// what was no reading reaches the window, in order, every key down and up.
func TestNothingOfTheCashierIsLost(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	letters := []rune("abc1 2.;A#\n")
	for round := range 300 {
		d := newDesk(t, ByPrefix)
		var want, wantScans strings.Builder
		for range 30 {
			switch rng.IntN(4) {
			case 0:
				d.f9()
				n := rng.IntN(12)
				s := strings.Repeat("8", n)
				d.typed(s, time.Duration(1+rng.IntN(20))*time.Millisecond)
				d.pause(200 * time.Millisecond)
				if n >= 3 {
					wantScans.WriteString(s + "\r")
				} else {
					want.WriteString("<F9>" + s)
				}
			default:
				r := letters[rng.IntN(len(letters))]
				d.typed(string(r), time.Duration(1+rng.IntN(200))*time.Millisecond)
				want.WriteRune(r)
			}
		}
		d.pause(time.Second)
		if got := d.saw(); got != want.String() {
			t.Fatalf("round %d: the window saw %q, want %q", round, got, want.String())
		}
		if got := strings.Join(d.scans, ""); got != wantScans.String() {
			t.Fatalf("round %d: readings %q, want %q", round, got, wantScans.String())
		}
		down := map[uint16]int{}
		for _, p := range d.window {
			if p.Up {
				down[p.Code]--
			} else {
				down[p.Code]++
			}
		}
		for c, n := range down {
			if n != 0 {
				t.Fatalf("round %d: key %d is down %d times more than up", round, c, n)
			}
		}
	}
}

func TestBurstRefusesSettings(t *testing.T) {
	for _, c := range []struct {
		by, prefix string
		gap        time.Duration
		min        int
	}{{"x", "", 35 * time.Millisecond, 6}, {ByPrefix, "a", 35 * time.Millisecond, 6}, {ByPrefix, "F25", 35 * time.Millisecond, 6}, {ByTiming, "", time.Millisecond, 6}, {ByTiming, "", 35 * time.Millisecond, 1}} {
		if _, err := NewBurst(c.by, c.prefix, c.gap, c.min); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	for name, want := range map[string]uint16{"F1": 59, "f10": 68, "F11": 87, "F12": 88, "F13": 0x64, "F24": 0x76, "ScrollLock": 70, "0x58": 0x58} {
		if got, ok := prefixKey(name); !ok || got != want {
			t.Errorf("%s: %x %v", name, got, ok)
		}
	}
}

func FuzzBurst(f *testing.F) {
	f.Add([]byte{67, 3, 195, 11, 28, 5}, uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, mode uint8) {
		by := []string{ByPrefix, ByTiming, ByDevice}[int(mode)%3]
		x, err := NewBurst(by, "F9", 35*time.Millisecond, 6)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1e9, 0)
		in, out := 0, 0
		for i := 0; i+1 < len(b); i += 2 {
			now = now.Add(time.Duration(b[i+1]) * time.Millisecond)
			text, swallow, replay := x.Key(Press{At: now, Code: uint16(b[i] & 0x7f), Up: b[i]&0x80 != 0})
			in++
			out += len(replay)
			if !swallow {
				out++
			}
			if out > in || len(text) > maxBurst+2 {
				t.Fatal("more came out than went in")
			}
		}
	})
}
