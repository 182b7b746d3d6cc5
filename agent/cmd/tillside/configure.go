package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/internal/private"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/drivers/discover"
	"github.com/tillside/tillside/drivers/line"
	"github.com/tillside/tillside/installer"
	"github.com/tillside/tillside/installer/provision"
)

// How long an installation waits for devices and for the centre.
const (
	configureFind  = 20 * time.Second
	configureEnrol = 15 * time.Second
)

// configuration is what configure was told, by flags and by a provision file.
type configuration struct {
	server, code, till string
	language, phone    string
	caFile             string
	file, pkg          string // provision file, package it may lie beside
	find               []string
	step               bool // called by a package's installer
	devices            []configs.Device
}

func (p *program) configureCmd() *cobra.Command {
	var c configuration
	cmd := &cobra.Command{
		Use:   "configure",
		Short: "Set this machine up from given values, without a question",
		Long: `Configure is what an installation calls, and what a management tool may call:
it makes the data folder with its rights, writes settings when there are none,
and enrols the till. It may be repeated: what is there already stays, a till
that is enrolled is not enrolled again.

When the centre cannot be reached the till is "enrolled later": the agent
enrols by itself as soon as it can, while the code lasts.

The values come from the flags and from a provision file (see tillside-provision.toml
among the examples; "tillside config sample --provision" prints it). Without
--provision the file is looked for in the folder of the settings, beside the
package that is being installed, and at the top of USB sticks. Flags win.`,
		Example: "  tillside configure --server https://loyalty.example.com --code 7K2M-9QXT-4WDH\n  tillside configure --provision /mnt/tillside-provision.toml --till warsaw/1",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			return p.configure(ctx, c)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.server, "server", "", "address of the centre")
	f.StringVar(&c.code, "code", "", "one-time code")
	f.StringVar(&c.till, "till", "", "store/till that this machine is to be, such as warsaw/1")
	f.StringVar(&c.language, "language", "", "en, ru or pl")
	f.StringVar(&c.phone, "phone-prefix", "", "country code of phone numbers typed without one")
	f.StringVar(&c.caFile, "ca-file", "", "certificates of a private authority (PEM); copied")
	f.StringSliceVar(&c.find, "find-devices", nil, "ports to ask for devices, or all")
	f.StringVar(&c.file, "provision", "", "provision file")
	f.StringVar(&c.pkg, "package", "", "package that is being installed; a provision file may lie beside it")
	f.BoolVar(&c.step, "package-step", false, "called while a package is installed")
	_ = f.MarkHidden("package-step")
	return cmd
}

func (p *program) configure(ctx context.Context, c configuration) error {
	s, file, err := p.settings()
	if err != nil {
		return err
	}
	if file == "" {
		file = p.settingsPlace()
	}
	if err := c.provisioned(filepath.Dir(file), p.out); err != nil {
		return err
	}
	if err := installer.PrepareData(s.Data); err != nil {
		return err
	}
	changed, err := p.writeSettings(ctx, file, s, &c)
	if err != nil {
		return err
	}
	if err := installer.CompleteService(); err != nil {
		fmt.Fprintln(p.err, "tillside: the service works, but not all of it could be set:", err)
	}
	err = p.enrolConfigured(ctx, s, &c)
	if changed && !c.step {
		if _, e := os.Stat(filepath.Join(s.Data, agent.AddressFile)); e == nil {
			fmt.Fprintln(p.err, "restart the agent so that it takes the settings: tillside service restart")
		}
	}
	return err
}

// settingsPlace is where settings are written when there are none.
func (p *program) settingsPlace() string {
	switch {
	case p.configFile != "":
		return p.configFile
	case p.dataDir != "":
		return filepath.Join(p.dataDir, "till.toml")
	}
	return installer.DefaultConfig()
}

// provisioned completes the values by those of a provision file. Flags win.
func (c *configuration) provisioned(settingsDir string, out io.Writer) error {
	file := c.file
	if file == "" && (c.step || c.pkg != "") && c.code == "" {
		var err error
		if file, err = provision.Find(provision.Places(settingsDir, c.pkg)); err != nil {
			return err
		}
	}
	if file == "" {
		return nil
	}
	f, err := configs.LoadProvision(file)
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	t, err := f.Till(c.till, host)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	fmt.Fprintf(out, "values of %s\n", file)
	or := func(v *string, given string) {
		if *v == "" {
			*v = given
		}
	}
	or(&c.server, f.Server)
	or(&c.code, string(t.Code))
	or(&c.till, t.Till)
	or(&c.language, f.Language)
	or(&c.phone, f.PhonePrefix)
	if c.caFile == "" && f.CAFile != "" {
		c.caFile = f.CAFile
		if !filepath.IsAbs(c.caFile) {
			c.caFile = filepath.Join(filepath.Dir(file), c.caFile)
		}
	}
	if c.find == nil {
		c.find = f.FindDevices
	}
	c.devices = f.Devices
	return nil
}

// writeSettings writes a settings file when there is none, and tells whether
// it did. s is what is in force afterwards.
func (p *program) writeSettings(ctx context.Context, file string, s *configs.Agent, c *configuration) (bool, error) {
	if _, err := os.Stat(file); err == nil {
		return false, nil
	}
	doc := configs.AgentSample
	if c.language != "" {
		doc = configs.SetText(doc, "language", c.language)
	}
	if c.phone != "" {
		doc = configs.SetText(doc, "phone_prefix", c.phone)
	}
	if c.caFile != "" {
		pem, err := os.ReadFile(c.caFile)
		if err != nil {
			return false, fmt.Errorf("certificates: %w", err)
		}
		kept := filepath.Join(s.Data, "authority.pem")
		if err := private.WriteFile(kept, pem); err != nil {
			return false, err
		}
		doc = configs.SetText(doc, "centre.ca_file", kept)
	}
	devices := c.devices
	if len(c.find) > 0 {
		found, err := find(ctx, c.find)
		if err != nil {
			return false, fmt.Errorf("find devices: %w", err)
		}
		devices = installer.Propose(all.Registry(), found, devices)
		for _, d := range devices[len(c.devices):] {
			fmt.Fprintf(p.out, "found %s on %s (%s)\n", d.Name, d.Port, d.Model+d.Driver)
		}
	}
	if len(devices) > 0 {
		doc = configs.SetDevices(doc, devices)
	}
	parsed, err := configs.ParseAgent(file, doc)
	if err != nil {
		return false, err
	}
	if err := agent.CheckDevices(all.Registry(), parsed.Devices); err != nil {
		return false, &exit{code: exitSettings, err: err}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return false, fmt.Errorf("settings: %w", err)
	}
	if err := private.WriteFile(file, doc); err != nil {
		return false, err
	}
	if runtime.GOOS != "windows" && filepath.Dir(file) != s.Data {
		// Settings hold no secret, and the service's user must read them.
		if err := os.Chmod(file, 0o644); err != nil {
			return false, fmt.Errorf("settings: %w", err)
		}
	}
	fmt.Fprintf(p.out, "settings written: %s\n", file)
	parsed.Data = s.Data
	*s = *parsed
	return true, nil
}

// find asks ports for devices; "all" is every port of the machine.
func find(ctx context.Context, ports []string) ([]discover.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, configureFind)
	defer cancel()
	o := discover.Options{Registry: all.Registry()}
	if !slices.Contains(ports, "all") {
		for _, name := range ports {
			o.Ports = append(o.Ports, line.Info{Name: name})
		}
	}
	found, err := discover.Scan(ctx, o)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // what answered in time is found
	}
	return found, err
}

// enrolConfigured enrols the till, now or later.
func (p *program) enrolConfigured(ctx context.Context, s *configs.Agent, c *configuration) error {
	id, err := agent.LoadIdentity(s.Data)
	if err != nil {
		return err
	}
	if id != nil {
		if c.till != "" && c.till != id.Store+"/"+id.Till {
			return fmt.Errorf("this machine is %s/%s already, and it was to be %s; tillside enrol --replace makes it another till", id.Store, id.Till, c.till)
		}
		fmt.Fprintf(p.out, "enrolled already: %s\n", id)
		return nil
	}
	if c.server == "" && c.code == "" {
		if pending, err := agent.LoadPending(s.Data); err == nil && pending != nil {
			fmt.Fprintln(p.out, pending)
			return nil
		}
		fmt.Fprintln(p.out, "not enrolled: no values given; next: tillside enrol --server URL --code CODE")
		return nil
	}
	if c.server == "" || c.code == "" {
		return &exit{code: exitUsage, err: errors.New("--server and --code are given together")}
	}
	return p.enrolNow(ctx, s, agent.Enrolment{Server: c.server, Code: c.code, Till: c.till}, true)
}

// enrolNow makes one try to enrol. later takes an unreachable centre for an
// outcome, not for a failure.
func (p *program) enrolNow(ctx context.Context, s *configs.Agent, e agent.Enrolment, later bool) error {
	var err error
	if e.TLS, err = agent.TLS(s.Centre.CAFile); err != nil {
		return err
	}
	e.Dir, e.Version = s.Data, p.version
	ctx, cancel := context.WithTimeout(ctx, configureEnrol)
	defer cancel()
	id, err := agent.Enrol(ctx, e)
	if err == nil {
		fmt.Fprintf(p.out, "enrolled: store %s, till %s, device %s\n", id.Store, id.Till, id.Device)
		return nil
	}
	var refused *agent.EnrolError
	pending, perr := agent.LoadPending(s.Data)
	if errors.As(err, &refused) && refused.Final() || perr != nil || pending == nil {
		return fmt.Errorf("enrol: %w", err)
	}
	if old, _ := agent.LoadIdentity(s.Data); old != nil {
		return fmt.Errorf("enrol: %w; the till goes on as %s", err, old)
	}
	fmt.Fprintf(p.out, "enrolled later: %v\nThe agent goes on trying while it runs; the code lasts 24 hours.\n", shortReason(err))
	if later {
		return nil
	}
	return &exit{code: exitFailed, err: errors.New("the centre could not be reached"), quiet: true}
}

// shortReason is an error in one line.
func shortReason(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
