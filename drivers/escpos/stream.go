package escpos

import "bytes"

// Command is one command of a stream, or a run of text, as somebody else sent
// it. It is for listeners; it says where commands begin and end, not what the
// printer makes of them.
type Command struct {
	// Name is the command's bytes without parameters: "\x1b@", "\x1dV". Text
	// has none, and neither have single control bytes.
	Name string
	// Head is the command with the parameters that say what it is; the data of
	// pictures and codes is not in it. Of text: the bytes. Shares the buffer.
	Head []byte
	// Known is false when the command is not in the tables here: that it has
	// one parameter is then a guess.
	Known bool
}

// maxData bounds the data of one command; more is a sign of having lost the
// place in the stream.
const maxData = 4 << 20

// Parameter bytes of commands that always have as many.
var (
	escParams = map[byte]int{'@': 0, ' ': 1, '!': 1, '$': 2, '%': 1, '-': 1, '2': 0, '3': 1, '<': 0, '=': 1, '?': 1, 'A': 1, 'B': 2, 'C': 1, 'E': 1,
		'F': 0, 'G': 1, 'H': 0, 'I': 1, 'J': 1, 'K': 1, 'L': 0, 'M': 1, 'N': 1, 'O': 0, 'P': 0, 'Q': 1, 'R': 1, 'S': 0, 'T': 1, 'U': 1, 'V': 1,
		'W': 8, 'X': 2, '[': 1, '\\': 2, 'a': 1, 'c': 2, 'd': 1, 'e': 1, 'f': 2, 'g': 0, 'i': 0, 'l': 1, 'm': 0, 'p': 3, 'r': 1, 't': 1, 'u': 1,
		'v': 0, 'x': 1, '{': 1, '9': 1, 0x0C: 0}
	fsParams = map[byte]int{'!': 1, '&': 0, '-': 1, '.': 0, 'C': 1, 'S': 2, 'W': 1, 'p': 2, '2': 74, '?': 2, 'r': 1, '}': 3}
	gsParams = map[byte]int{'!': 1, '$': 2, '/': 1, ':': 0, 'A': 2, 'B': 1, 'E': 1, 'H': 1, 'I': 1, 'L': 2, 'P': 2, 'T': 1, 'W': 2, '\\': 2, '^': 3,
		'`': 1, 'a': 1, 'b': 1, 'c': 0, 'f': 1, 'g': 4, 'h': 1, 'i': 1, 'j': 1, 'p': 1, 'r': 1, 'w': 1, 'x': 1, 'z': 3}
)

// Next tells the command, or the run of text, at the beginning of b and how
// many bytes it has. n is 0 when b is too short to say. It may be more than
// len(b): data of that length follows, which need not be kept.
func Next(b []byte) (c Command, n int) {
	if len(b) == 0 {
		return c, 0
	}
	switch b[0] {
	case esc:
		c, n = nextESC(b)
	case fs:
		c, n = nextFS(b)
	case gs:
		c, n = nextGS(b)
	case dle:
		c, n = nextDLE(b)
	default:
		if b[0] < 0x20 || b[0] == 0x7F {
			return Command{Name: string(b[:1]), Head: b[:1], Known: true}, 1
		}
		for n = 1; n < len(b) && b[n] >= 0x20 && b[n] != 0x7F; n++ {
		}
		return Command{Head: b[:n], Known: true}, n
	}
	if n > maxData {
		c.Known, n = false, len(c.Head)
	}
	return c, n
}

// fixed is a command of two bytes and a number of parameters.
func fixed(b []byte, params int) (Command, int) {
	if len(b) < 2+params {
		return Command{}, 0
	}
	return Command{string(b[:2]), b[:2+params], true}, 2 + params
}

// data is a command whose first head bytes say that size bytes follow.
func data(b []byte, head, size int) (Command, int) {
	return Command{string(b[:2]), b[:head], true}, head + size
}

func guess(b []byte) (Command, int) {
	c, n := fixed(b, 1)
	c.Known = false
	return c, n
}

func le16(b []byte) int { return int(b[0]) | int(b[1])<<8 }

func nextESC(b []byte) (Command, int) {
	if len(b) < 2 {
		return Command{}, 0
	}
	if n, ok := escParams[b[1]]; ok {
		return fixed(b, n)
	}
	switch b[1] {
	case '(':
		if len(b) < 5 {
			return Command{}, 0
		}
		return data(b, 5, le16(b[3:]))
	case '*':
		if len(b) < 5 {
			return Command{}, 0
		}
		tall := 1
		if b[2] >= 32 {
			tall = 3
		}
		return data(b, 5, le16(b[3:])*tall)
	case 'D': // tab stops, at most 32, until NUL
		end := bytes.IndexByte(b[2:min(len(b), 35)], 0)
		switch {
		case end >= 0:
			return fixed(b, end+1)
		case len(b) >= 35:
			return fixed(b, 32)
		}
		return Command{}, 0
	case 'Z': // a QR code on some clones
		if len(b) < 7 {
			return Command{}, 0
		}
		return data(b, 7, le16(b[5:]))
	case '&': // letters of one's own: y c1 c2, then for each x and x*y bytes
		if len(b) < 5 {
			return Command{}, 0
		}
		n := 5
		for range max(0, int(b[4])-int(b[3])+1) {
			if len(b) <= n {
				return Command{}, 0
			}
			n += 1 + int(b[2])*int(b[n])
		}
		return data(b, 5, n-5)
	}
	return guess(b)
}

func nextFS(b []byte) (Command, int) {
	if len(b) < 2 {
		return Command{}, 0
	}
	if n, ok := fsParams[b[1]]; ok {
		return fixed(b, n)
	}
	switch b[1] {
	case '(':
		if len(b) < 5 {
			return Command{}, 0
		}
		return data(b, 5, le16(b[3:]))
	case 'g': // 1: store, 2: send back
		if len(b) < 3 {
			return Command{}, 0
		}
		if b[2] != 1 && b[2] != '1' {
			return fixed(b, 8)
		}
		if len(b) < 10 {
			return Command{}, 0
		}
		return data(b, 10, le16(b[8:]))
	case 'q': // stored pictures
		if len(b) < 3 {
			return Command{}, 0
		}
		n := 3
		for range b[2] {
			if len(b) < n+4 { // the size of a picture stands behind the one before
				return Command{}, 0
			}
			n += 4 + le16(b[n:])*le16(b[n+2:])*8
			if n > maxData {
				return guess(b)
			}
		}
		return data(b, 3, n-3)
	}
	return guess(b)
}

func nextGS(b []byte) (Command, int) {
	if len(b) < 2 {
		return Command{}, 0
	}
	if n, ok := gsParams[b[1]]; ok {
		return fixed(b, n)
	}
	short := func(n int) bool { return len(b) < n }
	switch b[1] {
	case '(':
		if short(5) {
			return Command{}, 0
		}
		c, n := data(b, 5, le16(b[3:]))
		c.Name = string(b[:3])
		return c, n
	case '8':
		if short(7) {
			return Command{}, 0
		}
		size := le16(b[3:]) | le16(b[5:])<<16
		if size > maxData {
			return guess(b)
		}
		return data(b, 7, size)
	case 'v', 'Q':
		if short(8) {
			return Command{}, 0
		}
		size := le16(b[4:]) * le16(b[6:])
		if size > maxData {
			return guess(b)
		}
		return data(b, 8, size)
	case '*':
		if short(4) {
			return Command{}, 0
		}
		return data(b, 4, int(b[2])*int(b[3])*8)
	case 'k':
		if short(4) {
			return Command{}, 0
		}
		if b[2] >= 'A' { // the length stands before the data
			return data(b, 4, int(b[3]))
		}
		end := bytes.IndexByte(b[3:min(len(b), 3+256)], 0)
		switch {
		case end >= 0:
			return data(b, 3, end+1)
		case len(b) >= 3+256:
			return guess(b)
		}
		return Command{}, 0
	case 'V':
		if short(3) {
			return Command{}, 0
		}
		if b[2] >= 'A' {
			return fixed(b, 2)
		}
		return fixed(b, 1)
	case 'C':
		if short(3) {
			return Command{}, 0
		}
		switch b[2] {
		case '0', 0, '2', 2:
			return fixed(b, 3)
		case '1', 1:
			return fixed(b, 7)
		case ';':
			at, seen := 3, 0
			for ; at < len(b) && seen < 5 && at < 64; at++ {
				if b[at] == ';' {
					seen++
				}
			}
			if seen < 5 && at < 64 {
				return Command{}, 0
			}
			return fixed(b, at-2)
		}
		return fixed(b, 1)
	}
	return guess(b)
}

func nextDLE(b []byte) (Command, int) {
	if len(b) < 2 {
		return Command{}, 0
	}
	switch b[1] {
	case eot:
		if len(b) < 3 {
			return Command{}, 0
		}
		if b[2] == 7 || b[2] == 8 || b[2] == 18 {
			return fixed(b, 2)
		}
		return fixed(b, 1)
	case enq:
		return fixed(b, 1)
	case 0x14:
		if len(b) < 3 {
			return Command{}, 0
		}
		switch b[2] {
		case 1, 2, 7:
			return fixed(b, 3)
		case 8:
			return fixed(b, 8)
		}
		return fixed(b, 1)
	}
	return Command{Name: string(b[:1]), Head: b[:1]}, 1
}

// Style is what commands of a stream have set and a text put in between must
// leave as it was. The zero value knows nothing; Known with zeros is a printer
// just initialised.
type Style struct {
	// Known: the stream was followed since the printer was initialised.
	Known  bool
	Mode   byte // ESC !
	Size   byte // GS !
	Align  byte // ESC a
	Page   byte // ESC t
	Paged  bool // ESC t was sent
	Bold   byte // ESC E
	Twice  byte // ESC G
	Under  byte // ESC -
	Font   byte // ESC M
	White  byte // GS B
	Turned byte // ESC V
	Upside byte // ESC {
	Hri    byte // GS H
	Tall   byte // GS h; 0: never set
	Module byte // GS w; 0: never set
	// Line: letters stand in the line that is not yet printed.
	Line bool
	// Deaf: page mode or another peripheral is chosen; text goes elsewhere.
	Deaf bool
}

// Follow takes one command of the stream into account.
func (s *Style) Follow(c Command) {
	last := byte(0)
	if n := len(c.Head); n > 0 {
		last = c.Head[n-1]
	}
	switch c.Name {
	case "":
		s.Line = s.Line || len(c.Head) > 0
	case "\n", "\x1bd", "\x1bJ", "\x0c", "\x1di", "\x1dV", "\x1bi", "\x1bm":
		s.Line = false
	case "\x1b@":
		*s = Style{Known: true}
	case "\x1b!":
		s.Mode, s.Font, s.Bold, s.Under, s.Size = last, last&1, last>>3&1, last>>7&1, last>>5&1<<4|last>>4&1
	case "\x1d!":
		s.Size = last
	case "\x1ba":
		s.Align = last
	case "\x1bt":
		s.Page, s.Paged = last, true
	case "\x1bE":
		s.Bold = last & 1
	case "\x1bG":
		s.Twice = last & 1
	case "\x1b-":
		s.Under = last
	case "\x1bM":
		s.Font = last
	case "\x1dB":
		s.White = last & 1
	case "\x1bV":
		s.Turned = last
	case "\x1b{":
		s.Upside = last & 1
	case "\x1dH":
		s.Hri = last
	case "\x1dh":
		s.Tall = last
	case "\x1dw":
		s.Module = last
	case "\x1bL":
		s.Deaf = true
	case "\x1bS":
		s.Deaf = false
	case "\x1b=":
		s.Deaf = last&1 == 0
	}
}
