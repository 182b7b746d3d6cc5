package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/doctor"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/installer"
)

func (p *program) doctorCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this till and say what to do where it is not well",
		Long: `Doctor looks at settings, rights, disk, the running agent, the way to the
centre stage by stage, the clock, every device, what waits, the rulebook and
whether something holds files. It changes nothing, and works with the agent
running or not. Each line says OK, WARN or FAIL; the word in brackets is a code
that the troubleshooting guide explains.

Exit code 0: nothing fails; 7: something does.`,
		Example: "  tillside doctor\n  tillside doctor --json | jq '.findings[] | select(.level != \"ok\")'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			patient := p.patient()
			tell := func(f doctor.Finding) { f.Print(p.out) }
			if asJSON {
				tell = nil
			}
			findings, worst := patient.Examine(cmd.Context(), tell)
			if asJSON {
				err := writeJSON(p.out, map[string]any{"version": p.version, "worst": worst, "findings": findings})
				if err != nil {
					return err
				}
			}
			if worst == doctor.Fail {
				return &exit{code: exitUnwell, err: errors.New("something is not well"), quiet: true}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return cmd
}

// patient is this till for the doctor. Settings that cannot be read are a
// finding, not the end: the rest is examined with the defaults.
func (p *program) patient() *doctor.Patient {
	s, file, err := p.settings()
	d := &doctor.Patient{File: file, Problem: err, Version: p.version, Registry: all.Registry()}
	if err != nil {
		def := configs.DefaultAgent()
		s = &def
		if s.Data, err = p.fallbackData(); err != nil {
			return d
		}
	}
	d.Settings = s
	d.Status = func() (*till.Status, error) {
		var st till.Status
		if err := ask(s.Data, "/v1/status", &st); err != nil {
			return nil, err
		}
		return &st, nil
	}
	id, err := agent.LoadIdentity(s.Data)
	if err != nil && d.Problem == nil {
		d.Problem = fmt.Errorf("who this till is: %w", err)
	}
	if id != nil {
		d.Enrolled, d.Server, d.SyncURL = true, id.Server, id.SyncURL
		if s.Centre.URL != "" {
			d.SyncURL = s.Centre.URL
		}
	}
	if d.TLS, err = agent.ClientTLS(s.Data, s.Centre.CAFile, id); err != nil && d.Problem == nil {
		d.Problem = err
	}
	return d
}

// fallbackData is the data folder when the settings do not tell.
func (p *program) fallbackData() (string, error) {
	if p.dataDir != "" {
		return filepath.Abs(p.dataDir)
	}
	return installer.DefaultData(), nil
}
