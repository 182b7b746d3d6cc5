package datecs_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/datecs"
	"github.com/tillside/tillside/drivers/drivertest"
	emulated "github.com/tillside/tillside/drivers/emulator/datecs"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/fiscaltest"
)

func build(t *testing.T, form datecs.Form, port string, env drivers.Env) *datecs.Printer {
	t.Helper()
	r := drivers.NewRegistry()
	r.Add(datecs.Driver)
	dev, err := r.Build(drivers.Config{Name: "printer", Driver: "datecs", Port: port,
		Options: drivers.Options{"form": form.String(), "answer": "80ms", "patience": "20s"}}, env)
	if err != nil {
		t.Fatal(err)
	}
	return dev.(*datecs.Printer)
}

func bench(d *datecs.Printer, e *emulated.Printer) drivertest.FiscalBench {
	return drivertest.FiscalBench{
		Device: d, Roll: e.Roll, RollFrom: e.RollFrom, Closed: e.Closed, Heal: e.Heal, Mend: e.Mend, Unplug: e.Unplug, Letters: "Щъркел ябълка",
		Fail: func(f drivertest.Fault, after int) bool {
			// Neither form tells that the day is over until a receipt is refused.
			return f != drivertest.ShiftOld && e.Fail(fiscal.Fault(f), after)
		},
	}
}

// TestSuite runs ISL on a pseudo-terminal where there are any, elsewhere in
// memory, and PM in memory; the long form runs each form on both.
func TestSuite(t *testing.T) {
	long := os.Getenv("TILLSIDE_RECEIPTS") != ""
	for _, form := range []datecs.Form{datecs.ISL, datecs.PM} {
		terminal := runtime.GOOS == "linux" && (form == datecs.ISL || long)
		if terminal {
			t.Run(form.String()+" on a pseudo-terminal", func(t *testing.T) {
				drivertest.Fiscal(t, func(t *testing.T) drivertest.FiscalBench { return onPseudoTerminal(t, form) })
			})
		}
		if !terminal || long {
			t.Run(form.String()+" in memory", func(t *testing.T) {
				drivertest.Fiscal(t, func(t *testing.T) drivertest.FiscalBench {
					e := emulated.New(emulated.Options{Form: form})
					mem := fiscal.InMemory(e)
					t.Cleanup(mem.Close)
					return bench(build(t, form, "COM7", drivers.Env{OpenLine: mem.Open}), e)
				})
			})
		}
	}
}

func onPseudoTerminal(t *testing.T, form datecs.Form) drivertest.FiscalBench {
	e := emulated.New(emulated.Options{Form: form})
	return bench(build(t, form, fiscaltest.Terminal(t, e), drivers.Env{}), e)
}
