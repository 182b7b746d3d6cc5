package datecs_test

import (
	"context"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/datecs"
	"github.com/tillside/tillside/drivers/drivertest"
	emulated "github.com/tillside/tillside/drivers/emulator/datecs"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
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

func TestSuiteInMemory(t *testing.T) {
	for _, form := range []datecs.Form{datecs.ISL, datecs.PM} {
		t.Run(form.String(), func(t *testing.T) {
			drivertest.Fiscal(t, func(t *testing.T) drivertest.FiscalBench {
				e := emulated.New(emulated.Options{Form: form})
				mem := fiscal.InMemory(e)
				t.Cleanup(mem.Close)
				return bench(build(t, form, "COM7", drivers.Env{OpenLine: mem.Open}), e)
			})
		})
	}
}

func TestSuiteOnPseudoTerminal(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("pseudo-terminals that look like serial ports are Linux only")
	}
	for _, form := range []datecs.Form{datecs.ISL, datecs.PM} {
		t.Run(form.String(), func(t *testing.T) {
			drivertest.Fiscal(t, func(t *testing.T) drivertest.FiscalBench {
				e := emulated.New(emulated.Options{Form: form})
				link := filepath.Join(t.TempDir(), "printer")
				ctx, cancel := context.WithCancel(context.Background())
				var wg sync.WaitGroup
				wg.Add(1)
				ready := make(chan struct{}, 1)
				go func() {
					defer wg.Done()
					if err := fiscal.OnPty(ctx, e, link, func() {
						select {
						case ready <- struct{}{}:
						default:
						}
					}); err != nil {
						t.Error(err)
					}
				}()
				t.Cleanup(func() { cancel(); wg.Wait() })
				<-ready
				return bench(build(t, form, link, drivers.Env{}), e)
			})
		})
	}
}
