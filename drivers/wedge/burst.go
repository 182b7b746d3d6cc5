package wedge

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Press is one key event of a keyboard, by its scan code (set 1), which is the
// key code of Linux as well.
type Press struct {
	At       time.Time
	Code     uint16
	Extended bool // E0 before it: the keys between letters and keypad
	Up       bool
}

// How a scanner is told from the cashier's keyboard.
const (
	// ByPrefix: the scanner was set to send a key first that nobody types. What
	// follows it is kept from the focused window.
	ByPrefix = "prefix"
	// ByTiming: keys that come faster than anybody types. They reach the window
	// as well, since the first of them looked like a person's.
	ByTiming = "timing"
	// ByDevice: the keys of one USB device. They reach the window as well.
	ByDevice = "device"
)

// Burst finds readings among the keys of a keyboard. The zero value is not
// ready; see NewBurst.
type Burst struct {
	by     string
	prefix uint16
	gap    time.Duration
	min    int

	keys  Keys
	text  []byte
	held  []Press // kept from the window, in order
	last  time.Time
	on    bool
	owned map[uint16]bool // keys whose release is kept as well
}

// NewBurst makes a finder. prefix is the name of a key (PrefixKeys), gap the
// longest time between two keys of a scanner, min the fewest characters of a
// reading found by its timing.
func NewBurst(by, prefix string, gap time.Duration, min int) (*Burst, error) {
	b := &Burst{by: by, gap: gap, min: min, owned: map[uint16]bool{}}
	switch by {
	case ByPrefix:
		code, ok := prefixKey(prefix)
		if !ok {
			return nil, fmt.Errorf("prefix %q: want a key that nobody types: F1 to F24, scrolllock, pause, or a scan code such as 0x58", prefix)
		}
		b.prefix = code
	case ByTiming, ByDevice:
	default:
		return nil, fmt.Errorf("%q: want %s, %s or %s", by, ByPrefix, ByTiming, ByDevice)
	}
	if gap < 5*time.Millisecond || gap > time.Second {
		return nil, fmt.Errorf("gap %s: want 5ms to 1s", gap)
	}
	if min < 3 || min > 100 {
		return nil, fmt.Errorf("min %d: want 3 to 100 characters", min)
	}
	return b, nil
}

func prefixKey(s string) (uint16, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if n, ok := strings.CutPrefix(s, "f"); ok {
		switch k, err := strconv.Atoi(n); {
		case err != nil:
		case k >= 1 && k <= 10:
			return uint16(58 + k), true
		case k == 11 || k == 12:
			return uint16(76 + k), true
		case k >= 13 && k <= 23:
			return uint16(0x64 + k - 13), true
		case k == 24:
			return 0x76, true
		}
	}
	switch s {
	case "scrolllock":
		return 70, true
	case "pause":
		return 69, true
	}
	if n, err := strconv.ParseUint(s, 0, 8); err == nil && strings.HasPrefix(s, "0x") && n > 0 {
		return uint16(n), true
	}
	return 0, false
}

// maxBurst bounds a reading; a full QR code has 4,296 characters.
const maxBurst = 8 << 10

// Key takes one event. text is a reading that has ended, with its terminator;
// swallow keeps the event from the window; replay are events to be given to the
// window after all, in order, because they were none of a scanner's.
func (b *Burst) Key(p Press) (text []byte, swallow bool, replay []Press) {
	if b.on && p.At.Sub(b.last) > b.gap {
		text, replay = b.end()
	}
	if p.Up && b.owned[p.Code] {
		delete(b.owned, p.Code)
		if b.on {
			b.held = append(b.held, p)
			b.keys.Event(evKey, p.Code, release)
		}
		return text, true, replay
	}
	if !b.on {
		switch {
		case b.by == ByPrefix && (p.Up || p.Code != b.prefix || p.Extended):
			b.keys.Event(evKey, p.Code, value(p)) // shift and alt only
			return text, false, replay
		case b.by != ByPrefix && p.Up:
			b.keys.Event(evKey, p.Code, release)
			return text, false, replay
		}
		b.on, b.text, b.held = true, nil, nil
	}
	b.last = p.At
	if b.by == ByPrefix {
		b.held = append(b.held, p)
		if !p.Up {
			b.owned[p.Code] = true
		}
		swallow = true
		if len(b.held) == 1 {
			return text, true, replay // the prefix itself
		}
	}
	got := b.letters(p)
	b.text = append(b.text, got...)
	switch {
	case len(b.text) > maxBurst:
		b.drop()
	case len(got) > 0 && (got[0] == '\r' || got[0] == '\t'):
		if more, _ := b.end(); more != nil {
			text = append(text, more...)
		}
	}
	return text, swallow, replay
}

func value(p Press) int32 {
	if p.Up {
		return release
	}
	return press
}

// letters leaves out the keys between letters and keypad, which have the scan
// codes of the keypad's digits.
func (b *Burst) letters(p Press) []byte {
	if p.Extended && p.Code != keyEnter && p.Code != 53 {
		return nil
	}
	return b.keys.Event(evKey, p.Code, value(p))
}

// Tick ends what no key has followed in time.
func (b *Burst) Tick(now time.Time) (text []byte, replay []Press) {
	if b.on && now.Sub(b.last) > b.gap {
		return b.end()
	}
	return nil, nil
}

// end ends a burst: a reading, or keys of a person.
func (b *Burst) end() (text []byte, replay []Press) {
	text, held := b.text, b.held
	b.drop()
	ended := len(text) > 0 && (text[len(text)-1] == '\r' || text[len(text)-1] == '\t')
	n := len(text)
	if ended {
		n--
	}
	switch {
	case b.by == ByPrefix && n >= 3, b.by == ByDevice && n > 0:
		if !ended {
			text = append(text, '\r')
		}
		return text, nil
	case b.by == ByTiming && ended && n >= b.min:
		return text, nil
	case b.by == ByPrefix:
		return nil, held
	}
	return nil, nil
}

func (b *Burst) drop() { b.on, b.text, b.held = false, nil, nil }
