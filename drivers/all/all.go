// Package all is the list of every driver and model in this build.
package all

import (
	"github.com/tillside/tillside/configs/devices"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/atol"
	"github.com/tillside/tillside/drivers/barcode"
	"github.com/tillside/tillside/drivers/datecs"
	"github.com/tillside/tillside/drivers/escpos"
	"github.com/tillside/tillside/drivers/magstripe"
	"github.com/tillside/tillside/drivers/novitus"
	"github.com/tillside/tillside/drivers/pirit"
	"github.com/tillside/tillside/drivers/pole"
	"github.com/tillside/tillside/drivers/posnet"
	"github.com/tillside/tillside/drivers/rfid"
	"github.com/tillside/tillside/drivers/shtrih"
	"github.com/tillside/tillside/drivers/ssi"
	"github.com/tillside/tillside/drivers/wedge"
)

// Registry makes the full registry. The model files are part of the program
// and tested, so a fault in them is a broken build: panic.
func Registry() *drivers.Registry {
	r := drivers.NewRegistry()
	r.Add(list...)
	models, err := devices.All()
	if err == nil {
		err = r.AddModels(models...)
	}
	if err != nil {
		panic("drivers/all: " + err.Error())
	}
	return r
}

// list has one line for each driver.
var list = []drivers.Driver{
	atol.Driver,
	barcode.Driver,
	datecs.Driver,
	escpos.Driver,
	magstripe.Driver,
	pirit.Driver,
	novitus.Driver,
	pole.Driver,
	posnet.Driver,
	rfid.Driver,
	shtrih.Driver,
	ssi.Driver,
	wedge.Driver,
}
