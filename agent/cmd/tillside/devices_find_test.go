package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tillside/tillside/drivers/emulator"
)

func TestDevicesScanAndTest(t *testing.T) {
	printer := emulator.NewPrinter(emulator.PrinterSettings{Maker: "ACME", Model: "TM-1", Serial: "S77"})
	cable, err := emulator.TCP("127.0.0.1:0", printer)
	if err != nil {
		t.Fatal(err)
	}
	defer cable.Close()
	code, out, errs := run("devices", "scan", cable.Address(), "--json")
	var found []struct{ Driver, Note string }
	if code != 0 || json.Unmarshal([]byte(out), &found) != nil || len(found) != 1 || found[0].Driver != "escpos" || !strings.Contains(found[0].Note, "S77") {
		t.Errorf("scan: %d\n%s%s", code, out, errs)
	}
	if text := printer.Roll().All().Text(42); text != "" {
		t.Errorf("finding printed %q", text)
	}
	code, sample, errs := run("config", "sample")
	if code != 0 {
		t.Fatal(errs)
	}
	file := filepath.Join(t.TempDir(), "till.toml")
	settings := sample + "\n[[devices]]\nname = \"slips\"\ndriver = \"escpos\"\nport = \"" + cable.Address() + "\"\n"
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := run("devices", "test", "slips", "--config", file); code != 0 || !strings.Contains(out, "test slip: printed") {
		t.Errorf("test: %d\n%s%s", code, out, errs)
	}
	if code, _, _ := run("devices", "test", "kettle", "--config", file); code == 0 {
		t.Error("a device that is not in the settings was tested")
	}
}
