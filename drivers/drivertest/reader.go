package drivertest

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
)

// ReaderRig is a reader's rig.
type ReaderRig struct {
	Rig
	// Send makes the machine read a card number; what the driver is to deliver
	// for it is returned, "" for nothing.
	Send func(number string) (want string)
	// Raw sends bytes as they are.
	Raw func(b []byte)
}

// next waits for a reading.
func next(t testing.TB, r *Running) drivers.Scan {
	t.Helper()
	select {
	case s, ok := <-r.Device.(drivers.Reader).Scans():
		if !ok {
			t.Fatal("the channel of readings is closed")
		}
		return s
	case <-time.After(Patience):
		t.Fatal("no reading came")
	}
	panic("not reached")
}

// Reader is the suite for readers.
func Reader(t *testing.T, rig func(t *testing.T) ReaderRig) {
	Device(t, func(t *testing.T) Rig { return rig(t).Rig })
	t.Run("reads", func(t *testing.T) {
		g := rig(t)
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		for i := range 20 {
			want := g.Send(fmt.Sprintf("77%010d", i))
			got := next(t, r)
			if got.Text != want {
				t.Fatalf("got %q, want %q", got.Text, want)
			}
			if got.Reader != "unit" || got.At.IsZero() || got.Source == "" {
				t.Errorf("incomplete reading: reader %q at %s by %q", got.Reader, got.At, got.Source)
			}
		}
	})
	t.Run("nothing of a card is shown by itself", func(t *testing.T) {
		g := rig(t)
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		want := g.Send("770000123456")
		s := next(t, r)
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "scan", s)
		for _, shown := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), log.String()} {
			if strings.Contains(shown, want) {
				t.Errorf("a card number is shown: %s", shown)
			}
		}
	})
	t.Run("after replug", func(t *testing.T) {
		g := rig(t)
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		r.Cable.Unplug()
		r.WaitState(t, drivers.Absent)
		if err := r.Cable.Plug(); err != nil {
			t.Fatal(err)
		}
		r.WaitUsable(t)
		want := g.Send("770000999999")
		if got := next(t, r); got.Text != want {
			t.Errorf("got %q, want %q", got.Text, want)
		}
	})
	t.Run("a megabyte of noise", func(t *testing.T) {
		g := rig(t)
		if g.Raw == nil {
			t.Skip("no raw bytes here")
		}
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		noise := make([]byte, 1<<20)
		for i := range noise {
			noise[i] = byte('0' + i%10)
		}
		g.Raw(noise)
		g.Raw([]byte("\r"))
		want := g.Send("770000777777")
		for {
			got := next(t, r)
			if got.Text == want {
				break
			}
			t.Errorf("noise of %d characters was taken for a card", len(got.Text))
		}
	})
	t.Run("close ends the channel", func(t *testing.T) {
		g := rig(t)
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		r.Device.Close()
		if _, open := <-r.Device.(drivers.Reader).Scans(); open {
			t.Error("the channel is still open")
		}
	})
}

// DisplayRig is a display's rig.
type DisplayRig struct {
	Rig
	Lines func() (top, bottom string)
}

// Display is the suite for displays.
func Display(t *testing.T, rig func(t *testing.T) DisplayRig) {
	Device(t, func(t *testing.T) Rig { return rig(t).Rig })
	shows := func(t *testing.T, g DisplayRig, r *Running, top, bottom string) {
		t.Helper()
		Wait(t, "the text on the display", func() bool {
			a, b := g.Lines()
			return strings.TrimRight(a, " ") == top && strings.TrimRight(b, " ") == bottom
		})
	}
	t.Run("shows", func(t *testing.T) {
		g := rig(t)
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		d := r.Device.(drivers.Display)
		for _, l := range [][2]string{{"Welcome, Anna", "1250 points"}, {"a", "b"}, {"", ""}, {strings.Repeat("x", 20), "end"}} {
			if err := d.Show(t.Context(), l[0], l[1]); err != nil {
				t.Fatal(err)
			}
			shows(t, g, r, l[0], l[1])
		}
	})
	t.Run("long lines and foreign letters leave nothing behind", func(t *testing.T) {
		g := rig(t)
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		d := r.Device.(drivers.Display)
		if err := d.Show(t.Context(), strings.Repeat("Щ", 60), "日本\x1b@\x0c語"); err != nil {
			t.Fatal(err)
		}
		if err := d.Show(t.Context(), "ok", "ok"); err != nil {
			t.Fatal(err)
		}
		shows(t, g, r, "ok", "ok")
	})
	t.Run("shows again after replug", func(t *testing.T) {
		g := rig(t)
		r := Start(t, g.Rig)
		r.WaitUsable(t)
		d := r.Device.(drivers.Display)
		if err := d.Show(t.Context(), "before", ""); err != nil {
			t.Fatal(err)
		}
		r.Cable.Unplug()
		r.WaitState(t, drivers.Absent)
		MustCode(t, d.Show(t.Context(), "x", "y"), drivers.Absent)
		if err := r.Cable.Plug(); err != nil {
			t.Fatal(err)
		}
		r.WaitUsable(t)
		if err := d.Show(t.Context(), "after", "replug"); err != nil {
			t.Fatal(err)
		}
		shows(t, g, r, "after", "replug")
	})
}
