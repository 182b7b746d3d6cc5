package escpos_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/escpos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func rig(wire string, options drivers.Options) func(t *testing.T) drivertest.PrinterRig {
	return func(t *testing.T) drivertest.PrinterRig {
		m := emulator.NewPrinter(emulator.PrinterSettings{Columns: 42})
		opts := drivers.Options{"poll": "100ms", "answer": "3s"}
		for k, v := range options {
			opts[k] = v
		}
		return drivertest.PrinterRig{
			Rig:  drivertest.Rig{Driver: escpos.Driver, Options: opts, Machine: m, Wire: wire},
			Roll: m.Roll(),
			PaperOut: func(out bool) {
				m.Set(func(c *emulator.Condition) {
					if c.Paper = ""; out {
						c.Paper = "out"
					}
				})
			},
			Silence: func(on bool) { m.Set(func(c *emulator.Condition) { c.Silent = on }) },
		}
	}
}

func TestSuiteMemory(t *testing.T) {
	t.Parallel()
	drivertest.Printer(t, rig("memory", nil))
}
func TestSuitePTY(t *testing.T) { drivertest.Printer(t, rig("pty", nil)) }
func TestSuiteTCP(t *testing.T) { drivertest.Printer(t, rig("tcp", nil)) }
func TestSuiteASB(t *testing.T) {
	t.Parallel()
	drivertest.Printer(t, rig("memory", drivers.Options{"asb": true, "confirm": "gs_i"}))
}

func TestSuiteOneWay(t *testing.T) {
	t.Parallel()
	one := rig("memory", drivers.Options{"status": "no"})
	drivertest.Printer(t, func(t *testing.T) drivertest.PrinterRig {
		g := one(t)
		g.PaperOut, g.Silence, g.Sent = nil, nil, true
		return g
	})
}
