package wedge

// Input event types and key values of Linux.
const (
	evKey   = 1
	release = 0
	press   = 1

	keyTab, keyEnter, keyPadEnter = 15, 28, 96
	keyLeftShift, keyRightShift   = 42, 54
	keyLeftAlt                    = 56
	keySpace                      = 57
)

// plain and shifted are the letters of the US layout by key code: scanners send
// its key codes whatever layout the till has.
var plain, shifted = layout()

func layout() (p, s map[uint16]rune) {
	p, s = map[uint16]rune{}, map[uint16]rune{}
	row := func(first uint16, low, high string) {
		for i := range low {
			p[first+uint16(i)], s[first+uint16(i)] = rune(low[i]), rune(high[i])
		}
	}
	row(2, "1234567890-=", "!@#$%^&*()_+")
	row(16, "qwertyuiop[]", "QWERTYUIOP{}")
	row(30, "asdfghjkl;'`", `ASDFGHJKL:"~`)
	row(43, `\zxcvbnm,./`, `|ZXCVBNM<>?`)
	p[keySpace], s[keySpace] = ' ', ' '
	for code, r := range map[uint16]rune{71: '7', 72: '8', 73: '9', 75: '4', 76: '5', 77: '6', 79: '1', 80: '2', 81: '3', 82: '0',
		55: '*', 74: '-', 78: '+', 83: '.', 98: '/'} {
		p[code], s[code] = r, r
	}
	return p, s
}

// Keys turns key events into the bytes a serial scanner would send.
type Keys struct {
	shift, alt bool
	code       int // digits typed on the keypad while Alt is held
	typed      bool
}

// Event takes one event; most give nothing. Enter gives CR, Tab gives TAB. A
// number typed on the keypad with Alt held gives the character of that code:
// scanners in "universal" mode send control characters so.
func (k *Keys) Event(typ, code uint16, value int32) []byte {
	if typ != evKey {
		return nil
	}
	switch code {
	case keyLeftShift, keyRightShift:
		k.shift = value != release
		return nil
	case keyLeftAlt:
		was := k.alt
		k.alt = value != release
		if was && !k.alt && k.typed {
			c := k.code
			k.code, k.typed = 0, false
			if c > 0 && c < 256 {
				return []byte(string(rune(c)))
			}
		}
		return nil
	}
	if value != press {
		return nil
	}
	switch code {
	case keyEnter, keyPadEnter:
		return []byte{'\r'}
	case keyTab:
		return []byte{'\t'}
	}
	if k.alt {
		if r, ok := plain[code]; ok && r >= '0' && r <= '9' && code >= 71 && k.code < 1000 {
			k.code, k.typed = k.code*10+int(r-'0'), true
		}
		return nil
	}
	letters := plain
	if k.shift {
		letters = shifted
	}
	if r, ok := letters[code]; ok {
		return []byte(string(r))
	}
	return nil
}
