package till

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/drivers"
)

// tape is a display that notes what it was told, and when.
type tape struct {
	drivers.Display
	began time.Time
	lines []string
}

func (d *tape) Size() (int, int) { return 20, 2 }
func (d *tape) Show(_ context.Context, top, bottom string) error {
	d.lines = append(d.lines, time.Since(d.began).String()+" "+strings.TrimSpace(top)+"|"+strings.TrimSpace(bottom))
	return nil
}

type onlyDisplay struct {
	Devices
	d drivers.Display
}

func (o onlyDisplay) Display() drivers.Display { return o.d }

// The shop's own text stands between customers, and comes back when a text has
// stood its time.
func TestDisplayBetweenCustomers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &tape{began: time.Now()}
		counter := &Till{c: Config{Devices: onlyDisplay{d: d}, Idle: []string{"Corner Club", "Welcome"}, Log: slog.New(slog.DiscardHandler)}, texts: make(chan shown, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- counter.RunDisplay(ctx) }()
		synctest.Wait()
		counter.show(greetingStays, func(s receipt.Screen) receipt.Two { return s.Greeting("en", "Anna", true, 15000) })
		time.Sleep(10 * time.Second)
		counter.show(farewellStays, func(s receipt.Screen) receipt.Two { return s.Farewell("en", 500, false) })
		time.Sleep(time.Hour)
		cancel()
		<-ended
		want := "0s Corner Club|Welcome\n0s Hello, Anna!|Balance          150\n10s Thank you!|Earned            +5\n18s Corner Club|Welcome"
		if got := strings.Join(d.lines, "\n"); got != want {
			t.Errorf("the display showed\n%s\nwant\n%s", got, want)
		}
	})
}
