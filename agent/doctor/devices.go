package doctor

import (
	"context"
	"errors"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers"
)

// devices: is each one there? A running agent is asked; otherwise each is
// opened for a moment, which prints nothing.
func devices(ctx context.Context, p *Patient) []Finding {
	if len(p.Settings.Devices) == 0 {
		return fine("none in the settings; the cash software reads cards and prints")
	}
	var all []Finding
	if s := p.status; s != nil {
		for _, d := range s.Devices {
			if d.State == string(drivers.Ready) || d.State == "ok" {
				all = append(all, fine("%s is ready (%s)", d.Name, d.Title)...)
				continue
			}
			do := d.Hint
			if do == "" {
				do = "look at cable and power; tillside devices scan finds what answers"
			}
			all = append(all, fail("device_down", do, "%s: %s", d.Name, d.State))
		}
		return all
	}
	for _, d := range p.Settings.Devices {
		all = append(all, try(ctx, p, d)...)
	}
	return all
}

// firstWord is how long a device has to tell its state.
const firstWord = 4 * time.Second

// try opens a device and listens for its first state: a device that is absent
// opens all the same and says so.
func try(ctx context.Context, p *Patient, d configs.Device) []Finding {
	states := make(chan drivers.State, 16)
	dev, err := p.Registry.Build(agent.DeviceConfig(d), drivers.Env{OnState: func(s drivers.State) {
		select {
		case states <- s:
		default:
		}
	}})
	if err != nil {
		return nil // told by the settings
	}
	ctx, cancel := context.WithTimeout(ctx, firstWord)
	defer cancel()
	if err := dev.Open(ctx); err != nil {
		return []Finding{fail("device_down", hint(err), "%s: %v", d.Name, err)}
	}
	defer dev.Close()
	var last drivers.State
	for {
		select {
		case last = <-states:
			if last.Code == drivers.Ready {
				return fine("%s is ready (%s)", d.Name, dev)
			}
			continue
		case <-ctx.Done():
		}
		return []Finding{fail("device_down", last.Code.Hint(), "%s on %s: %s %s", d.Name, d.Port, last.Code, last.Detail)}
	}
}

func hint(err error) string {
	var e *drivers.Error
	if errors.As(err, &e) && e.Hint != "" {
		return e.Hint
	}
	return "look at cable and power; tillside devices scan finds what answers"
}
