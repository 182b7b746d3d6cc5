package configs

import (
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	for _, c := range []struct {
		window, at string
		holds      bool
	}{
		{"", "12:00", true}, {"02:00-05:00", "02:00", true}, {"02:00-05:00", "04:59", true}, {"02:00-05:00", "05:00", false},
		{"02:00-05:00", "01:59", false}, {"23:00-01:30", "23:30", true}, {"23:00-01:30", "01:29", true}, {"23:00-01:30", "12:00", false},
	} {
		var w Window
		if err := w.UnmarshalText([]byte(c.window)); err != nil {
			t.Fatal(err)
		}
		if w.String() != c.window {
			t.Errorf("%q is written %q", c.window, w)
		}
		at, err := time.Parse("15:04", c.at)
		if err != nil {
			t.Fatal(err)
		}
		if w.Holds(at) != c.holds {
			t.Errorf("%q at %s", c.window, c.at)
		}
	}
	for _, bad := range []string{"2-5", "02:00", "24:00-05:00", "02:60-05:00", "02:00-05:00x", "night"} {
		if err := new(Window).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
