package relay

import (
	"bytes"
	"time"
)

// Script is what an agent wants done before a held command goes on.
type Script struct {
	// Steps are done one after the other.
	Steps []Step `json:"steps"`
	// Owed are answers to these steps that come whenever the printer is ready,
	// among those the till waits for. They are kept from the till.
	Owed []Answer `json:"owed,omitempty"`
	// Limit bounds the whole script. Zero: 5 s.
	Limit time.Duration `json:"limit,omitempty"`
}

// Step sends and, when Take is there, waits for the answer.
type Step struct {
	Send []byte  `json:"send"`
	Take *Answer `json:"take,omitempty"`
	// Want is what the answer must begin with; otherwise Bail is sent and the
	// rest of the script is left out.
	Want *Pattern      `json:"want,omitempty"`
	Bail []byte        `json:"bail,omitempty"`
	Wait time.Duration `json:"wait,omitempty"` // zero: 1 s
}

// Answer is the shape of one answer of the printer.
type Answer struct {
	Start Pattern `json:"start"`
	// Exactly one of these says where it ends: a count of bytes; the byte at
	// index 1 counts what follows it but the check (02 LEN … LRC); a last byte.
	Count  int  `json:"count,omitempty"`
	Length bool `json:"length,omitempty"`
	Until  byte `json:"until,omitempty"`
	// Next: only the very next bytes may be it.
	Next bool `json:"next,omitempty"`
}

// Early is an answer given to the till in the printer's place while its
// command is held, and the printer's own one that will come for it.
type Early struct {
	Say  []byte `json:"say"`
	Skip []byte `json:"skip"`
}

// maxScript bounds the bytes of a script.
const maxScript = 64 << 10

func (s *Script) good() bool {
	if s.Limit < 0 || s.Limit > 30*time.Second || len(s.Steps) > 500 || len(s.Owed) > 500 {
		return false
	}
	n := 0
	for _, st := range s.Steps {
		n += len(st.Send) + len(st.Bail)
		if st.Take != nil && !st.Take.good() || st.Want != nil && !st.Want.good() || st.Wait < 0 {
			return false
		}
	}
	for _, o := range s.Owed {
		if !o.good() {
			return false
		}
	}
	return n <= maxScript
}

// exclusive scripts wait for answers: the printer's line is theirs meanwhile.
func (s *Script) exclusive() bool {
	for _, st := range s.Steps {
		if st.Take != nil {
			return true
		}
	}
	return false
}

func (a Answer) good() bool { return a.Start.good() && a.Count >= 0 && a.Count <= 4096 }

// size is how long the answer is that b begins with: 0 when it does not begin
// with one, -1 when b ends too early to say.
func (a Answer) size(b []byte) int {
	whole, part := a.Start.fits(b)
	switch {
	case part && len(b) > 0:
		return -1
	case !whole:
		return 0
	}
	var n int
	switch {
	case a.Count > 0:
		n = a.Count
	case a.Length:
		if len(b) < 2 {
			return -1
		}
		n = int(b[1]) + 3
	default:
		i := bytes.IndexByte(b, a.Until)
		if i < 0 {
			return -1
		}
		n = i + 1
	}
	if len(b) < n {
		return -1
	}
	return n
}
