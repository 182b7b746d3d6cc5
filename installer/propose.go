package installer

import (
	"fmt"
	"slices"

	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/discover"
)

// Propose turns what a search found into devices for the settings, besides
// those that are there already. Only what answered, or what a USB number names
// without doubt, is proposed; one printer and one display at most, since a till
// has one. Names are the kinds, and a person may change them.
func Propose(reg *drivers.Registry, found []discover.Found, have []configs.Device) []configs.Device {
	list := slices.Clone(have)
	kinds := map[drivers.Kind]int{}
	for _, d := range have {
		kinds[kindOf(reg, d)]++
	}
	for _, f := range found {
		taken := slices.ContainsFunc(list, func(d configs.Device) bool {
			return d.Port == f.Address || d.Port == f.Name || slices.Contains(f.Stable, d.Port)
		})
		d := configs.Device{Driver: f.Driver, Port: f.Address, Line: configs.DeviceLine{Baud: f.Baud}}
		if len(f.Models) == 1 {
			d.Model, d.Driver = f.Models[0], ""
		}
		k := kindOf(reg, d)
		if taken || f.Code != "" || k == "" || k != drivers.KindReader && kinds[k] > 0 {
			continue
		}
		kinds[k]++
		d.Name = string(k)
		for n := 2; slices.ContainsFunc(list, func(have configs.Device) bool { return have.Name == d.Name }); n++ {
			d.Name = fmt.Sprintf("%s %d", k, n)
		}
		list = append(list, d)
	}
	return list
}

// kindOf tells what a device is; a fiscal printer is the till's printer. ""
// when no driver knows it.
func kindOf(reg *drivers.Registry, d configs.Device) drivers.Kind {
	_, drv, err := reg.Resolve(drivers.Config{Name: "x", Model: d.Model, Driver: d.Driver, Port: d.Port})
	if err != nil {
		return ""
	}
	if drv.Kind == drivers.KindFiscal {
		return drivers.KindPrinter
	}
	return drv.Kind
}
