// Package devices holds what is known of device models, one file for each.
//
// A file is named after the model, <maker>-<model>.toml, and says which driver
// speaks to it, how its line stands, how many columns it has, which numbers its
// code pages carry and what is odd about it. A shop's settings name the model
// and override what differs there:
//
//	[[devices]]
//	name  = "printer"
//	model = "epson-tm-t20ii"
//	port  = "COM3"
//
// The keys of a file are those of File. Everything under [options] is a setting
// of the driver; `tillbench devices DRIVER` lists them. A test builds a device
// from every file, so a wrong key or value does not get in.
package devices

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

//go:embed *.toml
var files embed.FS

// File is the content of a model file.
type File struct {
	Maker    string        `toml:"maker"`    // as on the box
	Products []string      `toml:"products"` // as on the box; the first is the title
	Driver   string        `toml:"driver"`
	USB      []string      `toml:"usb"`    // "vid:pid" or "vid", four hexadecimal digits each
	Quirks   []string      `toml:"quirks"` // what a technician should know, a sentence each
	Source   string        `toml:"source"` // where the facts come from
	Line     line.Settings `toml:"line"`   // what differs from the driver's own line
	// Options are the driver's settings for this model.
	Options map[string]any `toml:"options"`
}

// All reads the embedded model files.
func All() ([]drivers.Model, error) { return Read(files) }

// Read reads the model files of a folder. All problems are told at once.
func Read(folder fs.FS) ([]drivers.Model, error) {
	names, err := fs.Glob(folder, "*.toml")
	if err != nil {
		return nil, fmt.Errorf("list model files: %w", err)
	}
	var out []drivers.Model
	var errs []error
	for _, n := range names {
		m, err := readModel(folder, n)
		if err != nil {
			errs = append(errs, fmt.Errorf("model file %s: %w", n, err))
			continue
		}
		out = append(out, m)
	}
	return out, errors.Join(errs...)
}

func readModel(folder fs.FS, name string) (drivers.Model, error) {
	data, err := fs.ReadFile(folder, name)
	if err != nil {
		return drivers.Model{}, err
	}
	var f File
	dec := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return drivers.Model{}, errors.New(strict.String())
		}
		return drivers.Model{}, err
	}
	if f.Maker == "" || len(f.Products) == 0 || f.Driver == "" || f.Source == "" {
		return drivers.Model{}, errors.New("maker, products, driver and source must be given")
	}
	if err := f.Line.Check(); err != nil {
		return drivers.Model{}, err
	}
	return drivers.Model{Name: strings.TrimSuffix(name, ".toml"), Maker: f.Maker, Products: f.Products, Driver: f.Driver,
		Line: f.Line, Options: f.Options, USB: f.USB, Quirks: f.Quirks, Source: f.Source}, nil
}
