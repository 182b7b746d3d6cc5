package barcode_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/barcode"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func rig(wire string, set emulator.ScannerSettings) func(t *testing.T) drivertest.ReaderRig {
	return func(t *testing.T) drivertest.ReaderRig {
		m := emulator.NewScanner(set)
		return drivertest.ReaderRig{
			Rig:  drivertest.Rig{Driver: barcode.Driver, Machine: m, Wire: wire, Options: drivers.Options{"repeat": "0s", "gap": "2s"}},
			Send: func(n string) string { m.Scan(n); return n },
			Raw:  func(b []byte) { m.Raw(b) },
		}
	}
}

func TestSuiteMemory(t *testing.T) {
	t.Parallel()
	drivertest.Reader(t, rig("memory", emulator.ScannerSettings{}))
}
func TestSuitePTY(t *testing.T) {
	t.Parallel()
	drivertest.Reader(t, rig("pty", emulator.ScannerSettings{Suffix: "\r\n"}))
}
func TestSuiteTCP(t *testing.T) {
	t.Parallel()
	drivertest.Reader(t, rig("tcp", emulator.ScannerSettings{Prefix: "\x02", Suffix: "\x03"}))
}
