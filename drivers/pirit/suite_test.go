package pirit_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	emulator "github.com/tillside/tillside/drivers/emulator/pirit"
	"github.com/tillside/tillside/drivers/line"
	"github.com/tillside/tillside/drivers/pirit"
)

func TestMain(m *testing.M) { drivertest.Main(m) }

func bench(t *testing.T, e *emulator.Printer, port string, open line.OpenFunc, opts drivers.Options) drivertest.FiscalBench {
	o := drivers.Options{"patience": "15", "resume": "10s", "paper_wait": "5s"}
	for k, v := range opts {
		o[k] = v
	}
	d, err := pirit.New(drivers.Config{Name: "fp", Driver: "pirit", Port: port, Options: o},
		drivers.Env{OpenLine: open})
	if err != nil {
		t.Fatal(err)
	}
	return drivertest.FiscalBench{
		Device: d,
		Roll:   e.Roll, RollFrom: e.RollFrom,
		Fail: func(f drivertest.Fault, after int) bool { return e.Fail(fiscal.Fault(f), after) },
		Heal: e.Heal, Mend: e.Mend,
		Closed:  e.Closed,
		Unplug:  e.Unplug,
		Letters: "Хлеб Ёлка",
	}
}

func inMemory(eo emulator.Options, opts drivers.Options) func(t *testing.T) drivertest.FiscalBench {
	return func(t *testing.T) drivertest.FiscalBench {
		e := emulator.New(eo)
		m := fiscal.InMemory(e)
		t.Cleanup(m.Close)
		return bench(t, e, "COM1", m.Open, opts)
	}
}

func TestSuite(t *testing.T) {
	drivertest.Fiscal(t, inMemory(emulator.Options{}, nil))
}

func TestSuiteViki(t *testing.T) {
	drivertest.Fiscal(t, inMemory(emulator.Options{Model: "57", Narrow: true}, nil))
}

func TestSuitePseudoTerminal(t *testing.T) {
	drivertest.Fiscal(t, func(t *testing.T) drivertest.FiscalBench {
		e := emulator.New(emulator.Options{})
		link := filepath.Join(t.TempDir(), "fp")
		ctx, cancel := context.WithCancel(context.Background())
		ready := make(chan struct{})
		var first sync.Once
		var wg sync.WaitGroup
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := fiscal.OnPty(ctx, e, link, func() { first.Do(func() { close(ready) }) })
			first.Do(func() { close(ready) })
			if err != nil {
				t.Log(err)
			}
		}()
		t.Cleanup(func() { cancel(); wg.Wait() })
		<-ready
		if _, err := os.Lstat(link); err != nil {
			t.Skip("no pseudo-terminals here: ", err)
		}
		return bench(t, e, link, nil, nil)
	})
}
