package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/drivers/discover"
	"github.com/tillside/tillside/drivers/line"
)

func (p *program) devicesScanCmd() *cobra.Command {
	var asJSON, listOnly bool
	cmd := &cobra.Command{
		Use: "scan [PORT...]", Short: "Find out what hangs on which port, without doing harm",
		Long: `Scan asks every port two harmless questions (ENQ and DLE EOT 1) and, once an
answer tells the family, lets its driver ask who is there. Nothing is printed and
no shift is opened. Scanners and displays never answer: they are suggested by
their USB number. Ports that the running agent holds are busy and left alone.

Write the second column into the settings: it stays when the port number moves.`,
		Example: "  tillside devices scan\n  tillside devices scan --list-only --json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := discover.Options{Registry: all.Registry(), ListOnly: listOnly}
			for _, a := range args {
				o.Ports = append(o.Ports, line.Info{Name: a})
			}
			found, err := discover.Scan(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(p.out, found)
			}
			w := tabwriter.NewWriter(p.out, 0, 4, 2, ' ', 0)
			for _, f := range found {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, f.Address, f.Driver, f.Note)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	cmd.Flags().BoolVar(&listOnly, "list-only", false, "send no byte to anybody")
	return cmd
}

func (p *program) devicesTestCmd() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "test DEVICE", Short: "Try a device of the settings: read a card, print a slip, show a text",
		Long: `Test opens one device of the settings and lets it do its work once. The agent
must not be running: a port belongs to one program at a time. Card data is not shown.`,
		Example: "  tillside devices test printer --config till.toml",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, _, err := p.settings()
			if err != nil {
				return err
			}
			for _, d := range s.Devices {
				if d.Name != args[0] {
					continue
				}
				dev, err := all.Registry().Build(agent.DeviceConfig(d), drivers.Env{})
				if err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(cmd.Context(), wait)
				defer cancel()
				if err := dev.Open(ctx); err != nil {
					return err
				}
				defer dev.Close()
				return discover.Smoke(ctx, dev, p.out)
			}
			return fmt.Errorf("the settings have no device %q", args[0])
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long the whole test may take")
	return cmd
}
