package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
	"github.com/tillside/tillside/drivers/wedge"
)

// deviceConfig is a device of the settings as the drivers want it.
func deviceConfig(d configs.Device) drivers.Config {
	c := drivers.Config{Name: d.Name, Driver: d.Driver, Model: d.Model, Port: d.Port, Options: drivers.Options{},
		Line: line.Settings{Baud: d.Line.Baud, DataBits: d.Line.DataBits, Parity: d.Line.Parity, StopBits: d.Line.StopBits}}
	for k, v := range d.Options {
		c.Options[k] = v
	}
	return c
}

// DeviceConfig is what the drivers are told of a device of the settings.
func DeviceConfig(d configs.Device) drivers.Config { return deviceConfig(d) }

// CheckDevices checks what only the drivers know: models, drivers, options,
// and that there is one printer and one display at most. Nothing is opened.
func CheckDevices(reg *drivers.Registry, list []configs.Device) error {
	var errs []error
	kinds := map[drivers.Kind]int{}
	for _, d := range list {
		cfg, drv, err := reg.Resolve(deviceConfig(d))
		if err == nil {
			_, err = reg.Build(cfg, drivers.Env{})
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		k := drv.Kind
		if k == drivers.KindFiscal {
			k = drivers.KindPrinter
		}
		if kinds[k]++; k != drivers.KindReader && kinds[k] == 2 {
			errs = append(errs, errors.New("device "+d.Name+": there is a "+string(k)+" already"))
		}
	}
	return errors.Join(errs...)
}

// deviceSet is every device of the settings.
type deviceSet struct {
	log     *slog.Logger
	list    []*device
	changed chan *device // told by the devices' own goroutines
}

type device struct {
	name string
	kind drivers.Kind
	dev  drivers.Device

	mu    sync.Mutex
	state drivers.State
	bad   bool // told as a fault
}

// build makes every device without touching one.
func buildDevices(reg *drivers.Registry, list []configs.Device, log *slog.Logger, now func() time.Time) (*deviceSet, error) {
	s := &deviceSet{log: log, changed: make(chan *device, 256)}
	if err := CheckDevices(reg, list); err != nil {
		return nil, err
	}
	for _, c := range list {
		cfg, drv, err := reg.Resolve(deviceConfig(c))
		if err != nil {
			return nil, err
		}
		d := &device{name: c.Name, kind: drv.Kind}
		if d.kind == drivers.KindFiscal {
			d.kind = drivers.KindPrinter
		}
		d.state = drivers.State{Code: drivers.Unknown, Since: now()}
		env := drivers.Env{Log: log, Now: now, OnState: func(st drivers.State) {
			d.mu.Lock()
			d.state = st
			d.mu.Unlock()
			select {
			case s.changed <- d:
			default: // the watcher looks at the newest state anyway
			}
		}}
		if d.dev, err = reg.Build(cfg, env); err != nil {
			return nil, err
		}
		s.list = append(s.list, d)
	}
	return s, nil
}

// open starts every device; an absent one is a state.
func (s *deviceSet) open(ctx context.Context) error {
	for _, d := range s.list {
		if err := d.dev.Open(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *deviceSet) close() {
	var wg sync.WaitGroup
	for _, d := range s.list {
		wg.Go(func() {
			if err := d.dev.Close(); err != nil {
				s.log.Debug("device closed", "device", d.name, "error", err)
			}
		})
	}
	wg.Wait()
}

func (d *device) view() till.DeviceState {
	d.mu.Lock()
	st := d.state
	d.mu.Unlock()
	v := till.DeviceState{Name: d.name, Kind: string(d.kind), State: string(st.Code), Title: d.dev.String(),
		Detail: st.Detail, Since: st.Since.UTC().Truncate(time.Millisecond)}
	if st.Code.Severity() == drivers.Fine {
		v.State = "ok"
	} else {
		v.Hint = st.Code.Hint()
	}
	return v
}

// States implements till.Devices.
func (s *deviceSet) States() []till.DeviceState {
	list := []till.DeviceState{}
	for _, d := range s.list {
		list = append(list, d.view())
	}
	return list
}

// Feed implements till.Feeder.
func (s *deviceSet) Feed(reader string, data []byte) (till.DeviceState, bool) {
	for _, d := range s.list {
		f, ok := d.dev.(interface{ Feed([]byte) error })
		if !ok || reader != "" && d.name != reader {
			continue
		}
		if err := f.Feed(data); errors.Is(err, wedge.ErrNoSession) {
			continue
		} else if err != nil {
			s.log.Warn("reading dropped", "device", d.name, "error", err)
		}
		return d.view(), true
	}
	return till.DeviceState{}, false
}

// Printer implements till.Devices.
func (s *deviceSet) Printer() drivers.Printer {
	for _, d := range s.list {
		if p, ok := d.dev.(drivers.Printer); ok {
			return p
		}
	}
	return nil
}

// Display implements till.Devices.
func (s *deviceSet) Display() drivers.Display {
	for _, d := range s.list {
		if p, ok := d.dev.(drivers.Display); ok {
			return p
		}
	}
	return nil
}

// watch tells health, events and journal about the devices' states.
func (s *deviceSet) watch(ctx context.Context, tell func(till.DeviceState), fault func(name string, st drivers.State), h *health.Tracker) error {
	for {
		select {
		case d := <-s.changed:
			v := d.view()
			d.mu.Lock()
			st, was := d.state, d.bad
			// What it is doing at the start is no news.
			d.bad = !st.Usable() && st.Code != drivers.Closed
			bad := d.bad
			d.mu.Unlock()
			tell(v)
			if st.Code == drivers.Closed {
				continue
			}
			text := v.State
			if v.Hint != "" {
				text += ": " + v.Hint
			}
			h.Set(bad, health.DeviceDown, d.name, text)
			if bad != was {
				fault(d.name, st)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
