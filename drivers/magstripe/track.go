package magstripe

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/barcode"
	"github.com/tillside/tillside/drivers/card"
)

// What can be wrong with a swipe.
var (
	ErrNoTrack = errors.New("no track in what was read")
	ErrSwipe   = errors.New("the reader reports a read error")
	ErrLRC     = errors.New("wrong longitudinal check")
	ErrNumber  = errors.New("no card number on any track")
)

// longest are the lengths of tracks 1 to 3 with their sentinels.
var longest = [4]int{0, 79, 40, 107}

// Tracks takes the text of a swipe apart. Keys are track numbers; values are
// without sentinels and check characters. Tracks that the reader could not read
// are left out; if none is left the error is ErrSwipe.
func Tracks(s string) (map[int]string, error) {
	out := map[int]string{}
	failed := false
	for s != "" {
		n := 0
		switch c := s[0]; {
		case c == '%':
			n = 1
		case c == ';' && out[2] == "" && !strings.HasPrefix(s, ";E?"):
			n = 2
		case c == ';':
			if n = 3; strings.HasPrefix(s, ";E?") && out[2] == "" {
				n = 2
			}
		case c == '+' || c == '#':
			n = 3
		default:
			s = s[1:]
			continue
		}
		body, rest, ended := strings.Cut(s[1:], "?")
		if !ended {
			return nil, fmt.Errorf("track %d: %w", n, barcode.ErrIncomplete)
		}
		if len(body)+2 > longest[n] {
			return nil, fmt.Errorf("track %d: %w", n, barcode.ErrTooLong)
		}
		// A check character may follow, and may look like the next sentinel.
		if rest != "" {
			if rest[0] == lrc(n, s[:len(body)+2]) && begins(rest[1:]) {
				rest = rest[1:]
			} else if !begins(rest) {
				return nil, fmt.Errorf("track %d: %w", n, ErrLRC)
			}
		}
		if body == "E" || body == "" {
			failed = failed || body == "E"
		} else {
			out[n] = body
		}
		s = rest
	}
	if len(out) == 0 {
		if failed {
			return nil, ErrSwipe
		}
		return nil, ErrNoTrack
	}
	return out, nil
}

// begins tells whether a track or the end stands at the beginning of s.
func begins(s string) bool { return s == "" || strings.IndexByte("%;+#\r\n", s[0]) >= 0 }

// lrc is the check character over a track with its sentinels: the exclusive or
// of the characters' codes, six bits on track 1 and four on the others.
func lrc(track int, s string) byte {
	var x byte
	if track == 1 {
		for i := range len(s) {
			x ^= s[i] - 0x20
		}
		return x&0x3F + 0x20
	}
	for i := range len(s) {
		x ^= s[i] & 0x0F
	}
	return x&0x0F + 0x30
}

// number is the card number on a track: what stands before the separator.
func number(track int, body string) string {
	sep := "="
	if track == 1 {
		sep = "^"
		if len(body) > 1 && body[0] == 'B' && body[1] >= '0' && body[1] <= '9' {
			body = body[1:]
		}
	}
	n, _, _ := strings.Cut(body, sep)
	return strings.ReplaceAll(strings.TrimSpace(n), " ", "")
}

// Read turns a swipe into a Scan. Bank cards are refused before anything of them
// goes anywhere, and the error holds nothing of the card.
func Read(raw []byte, bankCards bool, masks card.Masks) (drivers.Scan, error) {
	for _, b := range raw {
		if b < 0x20 || b > 0x7E {
			return drivers.Scan{}, barcode.ErrUnreadable
		}
	}
	tracks, err := Tracks(string(raw))
	if err != nil {
		return drivers.Scan{}, err
	}
	s := drivers.Scan{Source: drivers.FromMagnetic, Symbology: "magstripe", Tracks: tracks}
	if !bankCards {
		for n, body := range tracks {
			if card.Bank(number(n, body)) {
				clear(tracks)
				return drivers.Scan{}, barcode.ErrBankCard
			}
		}
	}
	for _, n := range []int{2, 1, 3} {
		body, ok := tracks[n]
		if !ok {
			continue
		}
		num := number(n, body)
		if s.Text == "" && num != "" {
			s.Text = num
		}
		if s.Card == "" {
			for _, form := range []string{num, body, map[int]string{1: "%", 2: ";", 3: ";"}[n] + body + "?"} {
				if c, ok := masks.Find(form); ok {
					s.Card = c
					break
				}
			}
		}
	}
	if s.Text == "" {
		return drivers.Scan{}, ErrNumber
	}
	return s, nil
}
