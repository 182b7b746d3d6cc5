package relay

// Pattern is the beginning of a command. A zero bit of Mask lets the byte at
// that place be anything; a nil Mask means that every byte counts.
type Pattern struct {
	Bytes []byte `json:"bytes"`
	Mask  []byte `json:"mask,omitempty"`
}

// maxPattern bounds a pattern, maxPatterns how many an agent may want.
const (
	maxPattern  = 64
	maxPatterns = 32
)

func (p Pattern) good() bool {
	return len(p.Bytes) > 0 && len(p.Bytes) <= maxPattern && (p.Mask == nil || len(p.Mask) == len(p.Bytes))
}

// fits compares as many bytes as both have: whole means that the pattern is
// there, part that it may become whole with more bytes.
func (p Pattern) fits(b []byte) (whole, part bool) {
	n := min(len(b), len(p.Bytes))
	for i := range n {
		if m := p.mask(i); b[i]&m != p.Bytes[i]&m {
			return false, false
		}
	}
	return n == len(p.Bytes), n < len(p.Bytes)
}

func (p Pattern) mask(i int) byte {
	if p.Mask == nil {
		return 0xFF
	}
	return p.Mask[i]
}

// find looks for the first place in b from which a pattern begins. free is how
// many bytes before it concern no pattern; size is the length of the pattern
// found there, 0 when b ends before that can be said or nothing was found (then
// free is len(b)).
func find(b []byte, want []Pattern) (free, size int) {
	for i := range b {
		part := false
		for _, p := range want {
			whole, maybe := p.fits(b[i:])
			if whole {
				return i, len(p.Bytes)
			}
			part = part || maybe
		}
		if part {
			return i, 0
		}
	}
	return len(b), 0
}
