package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/drivers/line"
)

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tillbench",
		Short: "Ports, drivers and emulated devices for the bench",
		Long: `tillbench is the technician's and tester's tool for the devices beside a till.

  tillbench ports                      which serial ports are here, by stable names
  tillbench probe                      what hangs on which port, asked harmlessly
  tillbench devices                    which drivers and models are known
  tillbench smoke MODEL PORT           try one device
  tillbench record PORT --out FILE     write down a session of a real device
  tillbench emulate till --dir /tmp/t  a scanner, a printer and a display without hardware
  tillbench render job.bin --text      what a printer would make of these bytes
  tillbench gallery --out /tmp/g      every slip and display text as pictures`,
		SilenceUsage: true, SilenceErrors: true,
	}
	cmd.AddCommand(portsCommand(), devicesCommand(), probeCommand(), smokeCommand(), emulateCommand(), renderCommand(), recordCommand(), galleryCommand())
	return cmd
}

func portsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "ports", Short: "List the serial ports of this machine", Args: cobra.NoArgs,
		Long: `List the serial ports of this machine.

Port numbers move when a plug is pulled and put back. In settings write the
stable name where there is one: usb:VID:PID:SERIAL, or a link below /dev/serial.
Listing opens each port for a moment on Linux. Pseudo-terminals are not listed.`,
		Example: "  tillbench ports\n  tillbench ports --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ports, err := line.Ports()
			if err != nil {
				return err
			}
			if asJSON {
				if ports == nil {
					ports = []line.Info{}
				}
				return printJSON(cmd.OutOrStdout(), ports)
			}
			if len(ports) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "no serial ports here")
				return nil
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "PORT\tSTABLE NAME\tPRODUCT")
			for _, p := range ports {
				stable := "-"
				if len(p.Stable) > 0 {
					stable = p.Stable[0]
				}
				fmt.Fprintf(w, "%s\t%s\t%s\n", p.Name, stable, p.Product)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func devicesCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "devices [DRIVER or MODEL]", Short: "List the known drivers and models, or the settings of one", Args: cobra.MaximumNArgs(1),
		Example: "  tillbench devices\n  tillbench devices escpos\n  tillbench devices epson-tm-t88v --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			reg, out := all.Registry(), cmd.OutOrStdout()
			if len(args) == 1 {
				return describe(out, args[0], asJSON)
			}
			if asJSON {
				type driver struct{ Name, Kind, Title string }
				var ds []driver
				for _, d := range reg.Drivers() {
					ds = append(ds, driver{d.Name, string(d.Kind), d.Title})
				}
				return printJSON(out, map[string]any{"drivers": ds, "models": reg.Models()})
			}
			w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "DRIVER\tKIND\tFOR")
			for _, d := range reg.Drivers() {
				fmt.Fprintf(w, "%s\t%s\t%s\n", d.Name, d.Kind, d.Title)
			}
			fmt.Fprintln(w, "\nMODEL\tDRIVER\tFOR")
			for _, m := range reg.Models() {
				fmt.Fprintf(w, "%s\t%s\t%s\n", m.Name, m.Driver, m.Title())
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func describe(out io.Writer, name string, asJSON bool) error {
	reg := all.Registry()
	if m, ok := reg.Model(name); ok {
		if asJSON {
			return printJSON(out, m)
		}
		fmt.Fprintf(out, "%s (driver %s)\n", m.Title(), m.Driver)
		for _, p := range m.Products {
			fmt.Fprintf(out, "  product  %s\n", p)
		}
		for _, q := range m.Quirks {
			fmt.Fprintf(out, "  note     %s\n", q)
		}
		fmt.Fprintf(out, "  source   %s\n", m.Source)
		for _, d := range reg.Drivers() {
			if d.Name != m.Driver {
				continue
			}
			for _, s := range d.Settings {
				if m.Options.Has(s.Name) {
					fmt.Fprintf(out, "  %s = %s\n", s.Name, m.Options.Text(s.Name))
				}
			}
		}
		return nil
	}
	d, ok := reg.Driver(name)
	if !ok {
		return fmt.Errorf("%q is neither a driver nor a model; `tillbench devices` lists both", name)
	}
	if asJSON {
		return printJSON(out, map[string]any{"name": d.Name, "kind": d.Kind, "title": d.Title, "line": d.Line, "settings": d.Settings})
	}
	fmt.Fprintf(out, "%s: %s\n\n", d.Name, d.Title)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tTYPE\tDEFAULT\tMEANING")
	for _, s := range d.Settings {
		typ := s.Type
		if len(s.Choices) > 0 {
			typ = fmt.Sprint(s.Choices)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, typ, s.Default, s.Help)
	}
	return w.Flush()
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
