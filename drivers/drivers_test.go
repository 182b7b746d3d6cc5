package drivers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

type fake struct {
	drivers.Device
	cfg drivers.Config
}

func (fake) OpenDrawer(context.Context) error { return nil }

func registry(t *testing.T) *drivers.Registry {
	t.Helper()
	r := drivers.NewRegistry()
	r.Add(drivers.Driver{Name: "fake", Line: line.Settings{Baud: 9600, DataBits: 8}, Settings: []drivers.Setting{
		{Name: "columns", Type: "number", Default: "42", Min: 10, Max: 99}, {Name: "mode", Choices: []string{"a", "b"}, Default: "a"},
		{Name: "on", Type: "yesno"}, {Name: "gap", Type: "duration"}, {Name: "masks", Type: "list"}},
		New: func(cfg drivers.Config, _ drivers.Env) (drivers.Device, error) { return &fake{cfg: cfg}, nil }})
	if err := r.AddModels(drivers.Model{Name: "acme-1", Maker: "ACME", Products: []string{"One"}, Driver: "fake",
		Line: line.Settings{Baud: 38400}, Options: drivers.Options{"columns": int64(48)}}); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestModelFillsWhatSettingsLeaveOpen(t *testing.T) {
	dev, err := registry(t).Build(drivers.Config{Name: "p", Model: "acme-1", Port: "COM3", Line: line.Settings{Parity: "even"},
		Options: drivers.Options{"mode": "b", "on": true, "gap": "80ms", "masks": []any{"x", "y"}}}, drivers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	c := dev.(*fake).cfg
	if c.Driver != "fake" || c.Line.Baud != 38400 || c.Line.DataBits != 8 || c.Line.Parity != "even" || c.String() != "ACME One on COM3" {
		t.Errorf("%+v", c)
	}
	o := c.Options
	if o.Int("columns") != 48 || o.Text("mode") != "b" || !o.Bool("on") || o.Duration("gap").Milliseconds() != 80 || len(o.List("masks")) != 2 {
		t.Errorf("%+v", o)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	err := registry(t).Check(drivers.Config{Name: "p", Driver: "fake", Port: "tcp:", Line: line.Settings{StopBits: 9},
		Options: drivers.Options{"columns": 5, "mode": "c", "on": "maybe", "gap": "soon", "colour": 1}})
	if !errors.Is(err, drivers.BadSettings) {
		t.Fatal(err)
	}
	for _, want := range []string{"columns", "mode", "on", "gap", "colour", "port", "stop_bits"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in %v", want, err)
		}
	}
	for _, c := range []drivers.Config{{Driver: "none"}, {Model: "none"}, {Model: "acme-1", Driver: "other"}} {
		if err := registry(t).Check(c); !errors.Is(err, drivers.BadSettings) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestRegistryRefusesTwins(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a driver was registered twice")
		}
	}()
	r := registry(t)
	if err := r.AddModels(drivers.Model{Name: "acme-1", Driver: "fake"}, drivers.Model{Name: "x", Driver: "none"}); err == nil {
		t.Error("a model was registered twice")
	}
	r.Add(drivers.Driver{Name: "fake", New: func(drivers.Config, drivers.Env) (drivers.Device, error) { return nil, nil }})
}

type wrapper struct{ drivers.Device }

func (w wrapper) Unwrap() drivers.Device { return w.Device }

func TestAs(t *testing.T) {
	if _, ok := drivers.As[drivers.Drawer](wrapper{wrapper{&fake{}}}); !ok {
		t.Error("the ability is not found behind wrappers")
	}
	if _, ok := drivers.As[drivers.Beeper](wrapper{&fake{}}); ok {
		t.Error("an ability that is not there is found")
	}
}

func TestCodes(t *testing.T) {
	err := fmt.Errorf("outer: %w", &drivers.Error{Device: "d", Op: "print", Code: drivers.PaperOut, Err: errors.New("cause")})
	if !errors.Is(err, drivers.PaperOut) || errors.Is(err, drivers.CoverOpen) || drivers.CodeOf(err) != drivers.PaperOut {
		t.Errorf("%v", err)
	}
	for err, want := range map[error]drivers.Code{
		nil: "", line.ErrWedged: drivers.Wedged, line.ErrBusy: drivers.PortBusy, line.ErrAccess: drivers.NoAccess, line.ErrUnplugged: drivers.Absent,
		line.ErrClosed: drivers.Closed, context.DeadlineExceeded: drivers.Silent, errors.New("x"): drivers.InternalFault, drivers.Busy: drivers.Busy,
	} {
		if got := drivers.CodeOf(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
	var st drivers.Status
	st.Add(drivers.PaperNear, drivers.Ready, drivers.CoverOpen, drivers.PaperNear)
	if st.Worst() != drivers.CoverOpen || len(st.Codes) != 2 || !st.Has(drivers.PaperNear) {
		t.Errorf("%+v", st)
	}
	if (drivers.Status{}).Worst() != drivers.Unknown || (drivers.Status{Known: true}).Worst() != drivers.Ready {
		t.Error("an empty status")
	}
	if drivers.BadSettings.Passing() || !drivers.PaperOut.Passing() || (drivers.State{Code: drivers.PaperOut}).Usable() || !(drivers.State{Code: drivers.PaperNear}).Usable() {
		t.Error("severity or passing")
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{"": "", "123456": "******", "2000000125008": "***********08", "Анна-Мария": "********ия"} {
		if got := drivers.Mask(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	if got := drivers.Mask(strings.Repeat("9", 4000)); len(got) > 40 {
		t.Errorf("%d bytes", len(got))
	}
}
