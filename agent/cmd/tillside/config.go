package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers/all"
)

func (p *program) configCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check the settings, or print a commented sample"}
	check := &cobra.Command{
		Use:   "check",
		Short: "Tell everything that is wrong with the settings",
		Long: `Check reads the settings as "run" would and tells all problems at once, with
line, field, what was found and what would do. It opens no device and
changes nothing. Exit code 3: something is wrong.`,
		Example: "  tillside config check\n  tillside config check --config new.toml",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, file, err := p.settings()
			if err != nil {
				return err
			}
			if err := agent.CheckDevices(all.Registry(), s.Devices); err != nil {
				return &exit{code: exitSettings, err: err}
			}
			f := agent.FileSettings(s.Files)
			if err := f.Check(); err != nil {
				return &exit{code: exitSettings, err: err}
			}
			if err := agent.CheckPassthrough(all.Registry(), s.Passthrough); err != nil {
				return &exit{code: exitSettings, err: err}
			}
			if file == "" {
				fmt.Fprintln(p.out, "no settings file: the defaults are in force")
				return nil
			}
			fmt.Fprintf(p.out, "%s is good\n", file)
			return nil
		},
	}
	provision := false
	sample := &cobra.Command{
		Use:     "sample",
		Short:   "Print a commented sample of the settings",
		Example: "  tillside config sample > till.toml",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			text := configs.AgentSample
			if provision {
				text = configs.ProvisionSample
			}
			_, err := p.out.Write(text)
			return err
		},
	}
	sample.Flags().BoolVar(&provision, "provision", false, "a sample of a provision file instead, for installations without a person")
	cmd.AddCommand(check, sample)
	cmd.RunE = needCommand
	return cmd
}

// needCommand is for commands that only hold others.
func needCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &exit{code: exitUsage, err: fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())}
	}
	_ = cmd.Help()
	return &exit{code: exitUsage, err: errors.New("name a command"), quiet: true}
}
