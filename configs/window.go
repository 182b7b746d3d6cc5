package configs

import (
	"fmt"
	"time"
)

// Window is a time of day from one minute to another, "02:00-05:00"; it may
// pass midnight. The zero value is the whole day.
type Window struct{ from, to int } // minutes after midnight

// UnmarshalText reads a window.
func (w *Window) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*w = Window{}
		return nil
	}
	var h1, m1, h2, m2 int
	if n, err := fmt.Sscanf(string(b)+"|", "%02d:%02d-%02d:%02d|", &h1, &m1, &h2, &m2); err != nil || n != 4 || len(b) != len("02:00-05:00") ||
		h1 > 23 || h2 > 23 || m1 > 59 || m2 > 59 {
		return fmt.Errorf("want a time of day such as \"02:00-05:00\"")
	}
	*w = Window{h1*60 + m1, h2*60 + m2}
	return nil
}

// MarshalText writes it as it is read.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

func (w Window) String() string {
	if w == (Window{}) {
		return ""
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d", w.from/60, w.from%60, w.to/60, w.to%60)
}

// Holds tells whether a moment lies in the window, in the moment's own zone.
func (w Window) Holds(t time.Time) bool {
	at := t.Hour()*60 + t.Minute()
	switch {
	case w.from == w.to:
		return true
	case w.from < w.to:
		return at >= w.from && at < w.to
	}
	return at >= w.from || at < w.to
}
