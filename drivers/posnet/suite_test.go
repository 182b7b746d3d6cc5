package posnet_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/fiscaltest"
	emulated "github.com/tillside/tillside/drivers/emulator/posnet"
	"github.com/tillside/tillside/drivers/posnet"
)

// build makes a driver with short waits.
func build(t *testing.T, port string, env drivers.Env, opts drivers.Options) *posnet.Printer {
	t.Helper()
	o := drivers.Options{"answer": "40ms", "patience": "20s", "recover": "20s"}
	for k, v := range opts {
		o[k] = v
	}
	r := drivers.NewRegistry()
	r.Add(posnet.Driver)
	dev, err := r.Build(drivers.Config{Name: "printer", Driver: "posnet", Port: port, Options: o}, env)
	if err != nil {
		t.Fatal(err)
	}
	return dev.(*posnet.Printer)
}

func bench(d *posnet.Printer, e *emulated.Printer) drivertest.FiscalBench {
	return drivertest.FiscalBench{
		Device: d, Roll: e.Roll, Closed: e.Closed, Heal: e.Heal, Mend: e.Mend, Unplug: e.Unplug, Letters: "Żurek łąka",
		Fail: func(f drivertest.Fault, after int) bool {
			// The protocol has no word for a day that lasts too long until a receipt is refused.
			return f != drivertest.ShiftOld && e.Fail(fiscal.Fault(f), after)
		},
	}
}

func inMemory(t *testing.T, opt emulated.Options, opts drivers.Options) (*posnet.Printer, *emulated.Printer) {
	t.Helper()
	e := emulated.New(opt)
	mem := fiscal.InMemory(e)
	t.Cleanup(mem.Close)
	return build(t, "COM7", drivers.Env{OpenLine: mem.Open}, opts), e
}

// TestSuite runs on a pseudo-terminal where there are any, elsewhere in memory;
// the long form runs both.
func TestSuite(t *testing.T) {
	if runtime.GOOS == "linux" {
		t.Run("pseudo-terminal", func(t *testing.T) { drivertest.Fiscal(t, onPseudoTerminal) })
	}
	if runtime.GOOS != "linux" || os.Getenv("TILLSIDE_RECEIPTS") != "" {
		t.Run("memory", func(t *testing.T) {
			drivertest.Fiscal(t, func(t *testing.T) drivertest.FiscalBench { return bench(inMemory(t, emulated.Options{}, nil)) })
		})
	}
}

func onPseudoTerminal(t *testing.T) drivertest.FiscalBench {
	e := emulated.New(emulated.Options{CodePage: "mazovia"})
	return bench(build(t, fiscaltest.Terminal(t, e), drivers.Env{}, drivers.Options{"codepage": "mazovia"}), e)
}
