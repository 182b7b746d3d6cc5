package drivertest_test

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/barcode"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/line"
	"github.com/tillside/tillside/drivers/pole"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// BenchmarkGreeting measures from the last byte of a card on the scanner's
// pseudo-terminal to the greeting on the display's, over both drivers. A
// pseudo-terminal has no speed, so the time on a real wire comes on top; it is
// reported beside for 9600 and 115200 baud.
func BenchmarkGreeting(b *testing.B) {
	scanner, display := emulator.NewScanner(emulator.ScannerSettings{}), emulator.NewDisplay(emulator.DisplaySettings{})
	in := drivertest.Start(b, drivertest.Rig{Driver: barcode.Driver, Machine: scanner, Wire: "pty", Options: drivers.Options{"repeat": "0s"}})
	out := drivertest.Start(b, drivertest.Rig{Driver: pole.Driver, Machine: display, Wire: "pty"})
	in.WaitUsable(b)
	out.WaitUsable(b)
	scans, show := in.Device.(drivers.Reader).Scans(), out.Device.(drivers.Display)
	names := []string{"Anna", "Maria"}
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		want := names[i%2]
		start := time.Now()
		scanner.Scan("2000000125008")
		<-scans
		if err := show.Show(b.Context(), want, "1250"); err != nil {
			b.Fatal(err)
		}
		for {
			changed := display.Changed()
			if top, _ := display.Lines(); top[:len(want)] == want {
				break
			}
			<-changed
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	b.ReportMetric(float64(p99.Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
	for _, baud := range []int{9600, 115200} {
		wire := line.Settings{Baud: baud}.WireTime(14 + 48)
		b.ReportMetric(float64(wire.Microseconds())/1000, map[int]string{9600: "wire9600-ms", 115200: "wire115200-ms"}[baud])
	}
}
