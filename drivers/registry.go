package drivers

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers/line"
)

// Driver describes a driver: one value per protocol.
type Driver struct {
	// Name as written in settings: "escpos".
	Name string
	Kind Kind
	// Title for people: "ESC/POS receipt printers".
	Title string
	// Line is how the device's line stands when neither settings nor model say.
	Line line.Settings
	// Settings are the options the driver understands.
	Settings []Setting
	// New makes a device. It checks every setting and touches nothing.
	New func(cfg Config, env Env) (Device, error)
}

// Setting describes one option of a driver.
type Setting struct {
	Name string
	// Type is "text", "number", "yesno", "duration" ("1500ms") or "list" (of texts).
	Type    string
	Default string
	// Choices, when set, are the only values allowed.
	Choices []string
	// Min and Max bound a number when Max is not zero.
	Min, Max int
	Help     string
}

// Config is one device as settings and model describe it.
type Config struct {
	// Name the device has in the agent's settings: "printer1".
	Name string
	// Driver may be empty when Model is given.
	Driver string
	// Model is the name of a model file, "epson-tm-t88v"; may be empty.
	Model string
	// Title is for people; Build fills it from the model.
	Title string
	// Port is a line address, see line.ParseAddress.
	Port string
	// Line settings; zero fields are filled from the model, then the driver.
	Line line.Settings
	// Options are the driver's settings by name. Values may be strings,
	// whole numbers, booleans as a settings file gives them.
	Options Options
}

// String names the device for people.
func (c Config) String() string {
	t := c.Title
	if t == "" {
		t = c.Model
	}
	if t == "" {
		t = c.Driver
	}
	if c.Port == "" {
		return t
	}
	return t + " on " + c.Port
}

// Options are settings by name.
type Options map[string]any

// Text gives an option as text.
func (o Options) Text(name string) string {
	switch v := o[name].(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// List gives an option of the type "list": an array, or one text.
func (o Options) List(name string) []string {
	switch v := o[name].(type) {
	case nil:
		return nil
	case []string:
		return v
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			out = append(out, fmt.Sprint(e))
		}
		return out
	}
	if t := o.Text(name); t != "" {
		return []string{t}
	}
	return nil
}

// Int gives a checked option as a number; 0 when not set.
func (o Options) Int(name string) int {
	n, _ := strconv.Atoi(o.Text(name))
	return n
}

// Bool gives a checked option as yes or no.
func (o Options) Bool(name string) bool {
	b, _ := parseYesNo(o.Text(name))
	return b
}

// Duration gives a checked option as a time span.
func (o Options) Duration(name string) time.Duration {
	d, _ := time.ParseDuration(o.Text(name))
	return d
}

// Has tells whether an option is set.
func (o Options) Has(name string) bool { _, ok := o[name]; return ok }

func parseYesNo(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0", "":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", s)
}

// Model is a device model as data: configs/devices holds one file for each.
type Model struct {
	Name     string        // "epson-tm-t88v"
	Maker    string        // "Epson"
	Products []string      // names on the box
	Driver   string        // "escpos"
	Line     line.Settings // zero fields mean the driver's own
	Options  Options       // the driver's settings for this model
	USB      []string      // "04b8:0202" or "04b8", for finding
	Quirks   []string      // odd things, a sentence each, for people
	Source   string        // where the facts come from
}

// Title is maker and first product.
func (m Model) Title() string {
	if len(m.Products) == 0 {
		return m.Maker
	}
	return m.Maker + " " + m.Products[0]
}

// Registry is a list of drivers and models. It is filled once and only read
// afterwards; drivers/all makes the full one.
type Registry struct {
	drivers map[string]Driver
	models  map[string]Model
}

// NewRegistry makes an empty one.
func NewRegistry() *Registry {
	return &Registry{drivers: map[string]Driver{}, models: map[string]Model{}}
}

// Add puts drivers in. A name used twice is a programming mistake: panic.
func (r *Registry) Add(ds ...Driver) {
	for _, d := range ds {
		if _, ok := r.drivers[d.Name]; ok || d.Name == "" || d.New == nil {
			panic("drivers: driver " + strconv.Quote(d.Name) + " is registered twice, has no name or no New")
		}
		r.drivers[d.Name] = d
	}
}

// AddModels puts models in. An unknown driver or a name used twice is an error.
func (r *Registry) AddModels(ms ...Model) error {
	var errs []error
	for _, m := range ms {
		if _, ok := r.models[m.Name]; ok {
			errs = append(errs, fmt.Errorf("model %q is there twice", m.Name))
			continue
		}
		if _, ok := r.drivers[m.Driver]; !ok {
			errs = append(errs, fmt.Errorf("model %q: no driver %q", m.Name, m.Driver))
			continue
		}
		r.models[m.Name] = m
	}
	return errors.Join(errs...)
}

// Drivers lists the drivers by name.
func (r *Registry) Drivers() []Driver {
	out := make([]Driver, 0, len(r.drivers))
	for _, d := range r.drivers {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Driver) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Models lists the models by name.
func (r *Registry) Models() []Model {
	out := make([]Model, 0, len(r.models))
	for _, m := range r.models {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Model) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Driver finds a driver.
func (r *Registry) Driver(name string) (Driver, bool) { d, ok := r.drivers[name]; return d, ok }

// Model finds a model.
func (r *Registry) Model(name string) (Model, bool) { m, ok := r.models[name]; return m, ok }

// Build makes a device: model fills what the settings left open, the driver
// fills the rest, and every setting is checked. Nothing is touched. All
// problems are told at once; the error has the code BadSettings.
func (r *Registry) Build(cfg Config, env Env) (Device, error) {
	cfg, d, err := r.Resolve(cfg)
	if err != nil {
		return nil, err
	}
	dev, err := d.New(cfg, env)
	if err != nil {
		return nil, &Error{Device: cfg.Name, Op: "check settings", Code: BadSettings, Err: err}
	}
	return dev, nil
}

// Check is Build without keeping the device.
func (r *Registry) Check(cfg Config) error { _, err := r.Build(cfg, Env{}); return err }

// Resolve fills a Config from its model and driver and checks it.
func (r *Registry) Resolve(cfg Config) (Config, Driver, error) {
	bad := func(err error) (Config, Driver, error) {
		return cfg, Driver{}, &Error{Device: cfg.Name, Op: "check settings", Code: BadSettings, Err: err}
	}
	opts := Options{}
	if cfg.Model != "" {
		m, ok := r.models[cfg.Model]
		if !ok {
			return bad(fmt.Errorf("model: %q is not known; `tillside devices models` lists them", cfg.Model))
		}
		if cfg.Driver == "" {
			cfg.Driver = m.Driver
		}
		if cfg.Driver != m.Driver {
			return bad(fmt.Errorf("driver: model %q needs %q, found %q", cfg.Model, m.Driver, cfg.Driver))
		}
		if cfg.Title == "" {
			cfg.Title = m.Title()
		}
		cfg.Line = cfg.Line.Fill(m.Line)
		for k, v := range m.Options {
			opts[k] = v
		}
	}
	d, ok := r.drivers[cfg.Driver]
	if !ok {
		return bad(fmt.Errorf("driver: %q is not known; `tillside devices models` lists them", cfg.Driver))
	}
	cfg.Line = cfg.Line.Fill(d.Line)
	for k, v := range cfg.Options {
		opts[k] = v
	}
	var errs []error
	if cfg.Port != "" {
		if _, err := line.ParseAddress(cfg.Port); err != nil {
			errs = append(errs, fmt.Errorf("port: %w", err))
		}
	}
	if err := cfg.Line.Check(); err != nil {
		errs = append(errs, fmt.Errorf("line: %w", err))
	}
	known := map[string]bool{}
	for _, s := range d.Settings {
		known[s.Name] = true
		if !opts.Has(s.Name) && s.Default != "" {
			opts[s.Name] = s.Default
		}
		if opts.Has(s.Name) {
			if s.Type == "list" {
				continue
			}
			if err := s.check(opts.Text(s.Name)); err != nil {
				errs = append(errs, fmt.Errorf("options.%s: %w", s.Name, err))
			}
		}
	}
	for _, k := range sortedKeys(opts) {
		if !known[k] {
			errs = append(errs, fmt.Errorf("options.%s: driver %q has no such setting", k, d.Name))
		}
	}
	if len(errs) > 0 {
		return bad(errors.Join(errs...))
	}
	cfg.Options = opts
	return cfg, d, nil
}

func (s Setting) check(v string) error {
	if len(s.Choices) > 0 && !slices.Contains(s.Choices, v) {
		return fmt.Errorf("%q is not one of %s", v, strings.Join(s.Choices, ", "))
	}
	switch s.Type {
	case "number":
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", v)
		}
		if s.Max != 0 && (n < s.Min || n > s.Max) {
			return fmt.Errorf("%d is outside %d to %d", n, s.Min, s.Max)
		}
	case "yesno":
		_, err := parseYesNo(v)
		return err
	case "duration":
		if d, err := time.ParseDuration(v); err != nil || d < 0 {
			return fmt.Errorf("%q is not a time span such as 80ms or 2s", v)
		}
	}
	return nil
}

func sortedKeys(o Options) []string {
	ks := make([]string, 0, len(o))
	for k := range o {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}
