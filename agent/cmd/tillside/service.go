package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/installer"
)

func (p *program) serviceCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service",
		Short: "The agent as a service of the system",
		Long: `Service makes the agent a service that starts with the machine and comes back
after a crash, and takes it away again. Where a package brought the agent it
is a service already.

Data and settings stay when the service is uninstalled, and it says how many
receipts have not reached the centre; --purge deletes them too.`,
		RunE: needCommand,
	}
	dryRun, purge := false, false
	acts := []struct{ name, short, example string }{
		{"install", "Make it a service; may be repeated", "  tillside service install --config /etc/tillside/till.toml"},
		{"uninstall", "Take the service away; data and settings stay", "  tillside service uninstall"},
		{"start", "Start the service", "  tillside service start"},
		{"stop", "Stop the service", "  tillside service stop"},
		{"restart", "Stop and start the service", "  tillside service restart"},
		{"status", "Print running, stopped or not installed", "  tillside service status"},
	}
	for _, a := range acts {
		c := &cobra.Command{
			Use: a.name, Short: a.short, Example: a.example, Args: noArgs,
			RunE: func(*cobra.Command, []string) error {
				plan, err := p.plan()
				if err != nil {
					return err
				}
				if a.name == "install" {
					// Settings that are wrong are found now, not at three in
					// the morning after a power cut.
					if _, _, err := p.settings(); err != nil {
						return err
					}
				}
				if dryRun {
					fmt.Fprint(p.out, a.name, " ", plan)
					return plan.Check()
				}
				m, err := installer.Open(plan)
				if err != nil {
					return err
				}
				if a.name == "install" {
					s, _, err := p.settings()
					if err != nil {
						return err
					}
					if err := installer.PrepareData(s.Data); err != nil {
						return err
					}
				}
				state, err := installer.Do(m, a.name)
				if err != nil {
					return err
				}
				if a.name == "uninstall" {
					if err := p.farewell(purge); err != nil {
						return err
					}
				}
				fmt.Fprintln(p.out, state)
				return nil
			},
		}
		if a.name == "install" || a.name == "uninstall" {
			c.Flags().BoolVar(&dryRun, "dry-run", false, "tell what would be done")
		}
		if a.name == "uninstall" {
			c.Flags().BoolVar(&purge, "purge", false, "delete data and settings too, whether or not the centre has everything")
		}
		cmd.AddCommand(c)
	}
	cmd.AddCommand(p.farewellCmd())
	return cmd
}

func (p *program) plan() (installer.Plan, error) {
	exe, err := os.Executable()
	if err != nil {
		return installer.Plan{}, err
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return installer.Plan{}, err
	}
	plan := installer.Plan{Executable: exe}
	if p.configFile != "" {
		if plan.Config, err = filepath.Abs(p.configFile); err != nil {
			return plan, err
		}
	}
	if p.dataDir != "" {
		if plan.Data, err = filepath.Abs(p.dataDir); err != nil {
			return plan, err
		}
	}
	return plan, nil
}
