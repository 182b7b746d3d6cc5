package all

import (
	"testing"

	"github.com/tillside/tillside/drivers"
)

// Every driver builds with its defaults, and every model file builds.
func TestEverythingBuilds(t *testing.T) {
	r := Registry()
	for _, d := range r.Drivers() {
		t.Run("driver "+d.Name, func(t *testing.T) { build(t, r, drivers.Config{Name: "x", Driver: d.Name, Port: "COM9"}, d.Kind) })
	}
	for _, m := range r.Models() {
		t.Run("model "+m.Name, func(t *testing.T) {
			d, _ := r.Driver(m.Driver)
			build(t, r, drivers.Config{Name: "x", Model: m.Name, Port: "COM9"}, d.Kind)
		})
	}
}

func build(t *testing.T, r *drivers.Registry, cfg drivers.Config, kind drivers.Kind) {
	t.Helper()
	dev, err := r.Build(cfg, drivers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	ok := false
	switch kind {
	case drivers.KindReader:
		_, ok = dev.(drivers.Reader)
	case drivers.KindPrinter:
		_, ok = dev.(drivers.Printer)
	case drivers.KindFiscal:
		_, ok = dev.(drivers.FiscalPrinter)
	case drivers.KindDisplay:
		_, ok = dev.(drivers.Display)
	}
	if !ok {
		t.Errorf("%T is not a %s", dev, kind)
	}
	if dev.String() == "" || dev.State().Code != drivers.Unknown {
		t.Errorf("a device that was not opened is %+v", dev.State())
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}
