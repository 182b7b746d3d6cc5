package novitus_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/fiscaltest"
	emulated "github.com/tillside/tillside/drivers/emulator/novitus"
	"github.com/tillside/tillside/drivers/novitus"
)

func build(t *testing.T, port string, env drivers.Env) *novitus.Printer {
	t.Helper()
	r := drivers.NewRegistry()
	r.Add(novitus.Driver)
	dev, err := r.Build(drivers.Config{Name: "printer", Driver: "novitus", Port: port,
		Options: drivers.Options{"answer": "60ms", "patience": "20s"}}, env)
	if err != nil {
		t.Fatal(err)
	}
	return dev.(*novitus.Printer)
}

func bench(d *novitus.Printer, e *emulated.Printer) drivertest.FiscalBench {
	return drivertest.FiscalBench{
		Device: d, Roll: e.Roll, RollFrom: e.RollFrom, Closed: e.Closed, Heal: e.Heal, Mend: e.Mend, Unplug: e.Unplug, Letters: "Żurek łąka",
		Fail: func(f drivertest.Fault, after int) bool {
			// DLE has one bit for all faults of the mechanism, so none for the
			// cover; and there is no word for a day that lasts too long.
			return f != drivertest.ShiftOld && f != drivertest.CoverOpen && e.Fail(fiscal.Fault(f), after)
		},
	}
}

// TestSuite runs on a pseudo-terminal where there are any, elsewhere in memory;
// the long form runs both.
func TestSuite(t *testing.T) {
	if runtime.GOOS == "linux" {
		t.Run("pseudo-terminal", func(t *testing.T) { drivertest.Fiscal(t, onPseudoTerminal) })
	}
	if runtime.GOOS != "linux" || os.Getenv("TILLSIDE_RECEIPTS") != "" {
		t.Run("memory", func(t *testing.T) {
			drivertest.Fiscal(t, func(t *testing.T) drivertest.FiscalBench {
				e := emulated.New(emulated.Options{})
				mem := fiscal.InMemory(e)
				t.Cleanup(mem.Close)
				return bench(build(t, "COM7", drivers.Env{OpenLine: mem.Open}), e)
			})
		})
	}
}

func onPseudoTerminal(t *testing.T) drivertest.FiscalBench {
	e := emulated.New(emulated.Options{})
	return bench(build(t, fiscaltest.Terminal(t, e), drivers.Env{}), e)
}
