package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/drivers/discover"
	"github.com/tillside/tillside/drivers/line"
)

func probeCommand() *cobra.Command {
	var asJSON, listOnly bool
	cmd := &cobra.Command{
		Use: "probe [PORT...]", Short: "Find out what hangs on which port, without doing harm",
		Long: `Find out what hangs on which port, without doing harm.

Only two questions are asked of an unknown port: ENQ (05) and DLE EOT 1
(10 04 01). Neither prints, opens a drawer or opens a shift on any device known
here. Once the answer tells the family, its driver asks who is there. Scanners
and displays never answer; they are suggested by their USB number.`,
		Example: "  tillbench probe\n  tillbench probe /dev/ttyUSB0 tcp:192.168.1.40:9100\n  tillbench probe --list-only --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			o := discover.Options{Registry: all.Registry(), ListOnly: listOnly}
			for _, a := range args {
				if _, err := line.ParseAddress(a); err != nil {
					return err
				}
				o.Ports = append(o.Ports, line.Info{Name: a})
			}
			found, err := discover.Scan(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				if found == nil {
					found = []discover.Found{}
				}
				return printJSON(cmd.OutOrStdout(), found)
			}
			if len(found) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "no serial ports here")
				return nil
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "PORT\tWRITE IN SETTINGS\tDRIVER\tBAUD\tWHAT")
			for _, f := range found {
				baud := "-"
				if f.Baud > 0 {
					baud = fmt.Sprint(f.Baud)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.Name, f.Address, dash(f.Driver), baud, f.Note)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().BoolVar(&listOnly, "list-only", false, "send no byte to anybody")
	return cmd
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func smokeCommand() *cobra.Command {
	var baud int
	var wait time.Duration
	var options map[string]string
	cmd := &cobra.Command{
		Use: "smoke DRIVER-or-MODEL PORT", Short: "Try one device: read a card, print a test page, show a text", Args: cobra.ExactArgs(2),
		Example: "  tillbench smoke epson-tm-t20ii COM3\n  tillbench smoke barcode /dev/ttyACM0 --baud 115200\n  tillbench smoke pole /tmp/till/display --option code_page=cp866 --option code_page_number=11",
		RunE: func(cmd *cobra.Command, args []string) error {
			reg := all.Registry()
			cfg := drivers.Config{Name: "smoke", Port: args[1], Line: line.Settings{Baud: baud}, Options: drivers.Options{}}
			if _, ok := reg.Model(args[0]); ok {
				cfg.Model = args[0]
			} else {
				cfg.Driver = args[0]
			}
			for k, v := range options {
				cfg.Options[k] = v
			}
			dev, err := reg.Build(cfg, drivers.Env{})
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			if err := dev.Open(ctx); err != nil {
				return err
			}
			defer dev.Close()
			return discover.Smoke(ctx, dev, cmd.OutOrStdout())
		},
	}
	cmd.Flags().IntVar(&baud, "baud", 0, "speed; 0 is the model's own")
	cmd.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long the whole test may take")
	cmd.Flags().StringToStringVar(&options, "option", nil, "a setting of the driver, name=value; may be given several times")
	return cmd
}
