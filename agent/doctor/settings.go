package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers"
)

// settings: do they make sense, and is every device in them one we know?
func settings(_ context.Context, p *Patient) []Finding {
	if p.Problem != nil {
		return bad(p.File, p.Problem)
	}
	if err := p.Settings.Check(); err != nil {
		return bad(p.File, err)
	}
	var all []Finding
	if p.Registry != nil {
		for _, d := range p.Settings.Devices {
			if _, err := p.Registry.Build(agent.DeviceConfig(d), drivers.Env{}); err != nil {
				all = append(all, fail("device_unknown", "tillside devices models lists what there is", "device %q: %v", d.Name, err))
			}
		}
	}
	if len(all) > 0 {
		return all
	}
	where := p.File
	if where == "" {
		where = "no file, defaults"
	}
	return fine("%s; data in %s, %s", where, p.Settings.Data, count(len(p.Settings.Devices), "device"))
}

func bad(file string, err error) []Finding {
	const do = "mend the file; tillside config check shows the same, tillside config sample a commented sample"
	var problems configs.Problems
	if !errors.As(err, &problems) {
		return []Finding{fail("settings_bad", do, "%v", err)}
	}
	var all []Finding
	for _, x := range problems {
		all = append(all, fail("settings_bad", do, "%s: %s", file, fmt.Sprint(x)))
	}
	return all
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
