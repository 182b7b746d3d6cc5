package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/drivers/emulator"
)

// emulateFlags say where an emulated device hangs and how it is driven.
type emulateFlags struct {
	pty, tcp, control string
	stdin             bool
}

func (f *emulateFlags) add(cmd *cobra.Command, line bool) {
	if line {
		cmd.Flags().StringVar(&f.pty, "pty", "", "make a pseudo-terminal and a link to it here (Linux)")
		cmd.Flags().StringVar(&f.tcp, "tcp", "", "listen here, such as 127.0.0.1:9100 or 127.0.0.1:0")
	}
	cmd.Flags().StringVar(&f.control, "control", "", "HTTP control address, such as 127.0.0.1:0")
	cmd.Flags().BoolVar(&f.stdin, "stdin", true, "obey lines on standard input; quit or its end stops the device")
}

func (f *emulateFlags) cable(m emulator.Machine) (*emulator.Cable, error) {
	switch {
	case f.pty != "" && f.tcp == "":
		return emulator.PTY(f.pty, m)
	case f.tcp != "" && f.pty == "":
		return emulator.TCP(f.tcp, m)
	}
	return nil, errors.New("give one of --pty and --tcp")
}

func emulateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "emulate", Short: "Run an emulated device",
		Long: `Run an emulated device on a pseudo-terminal (Linux) or on TCP.

When it is ready it prints one line: ready and a JSON object with the line
addresses and the control address. Then it obeys lines on standard input:

` + emulator.CommandHelp + `
and the same by HTTP at the control address:

  curl -s $C/scan  -d '{"data":"2000000125008"}'
  curl -s $C/state -d '{"paper":"out"}'
  curl -s -X POST "$C/unplug?device=printer"
  curl -s "$C/text?slip=last"    curl -s "$C/png?slip=last" > slip.png
  curl -s $C/grid

Standard input that is closed from the start (a service, a script with
</dev/null) stops the device at once: give --stdin=false there.`,
	}
	cmd.AddCommand(emulateScanner(), emulatePrinter(), emulateDisplay(), emulateTill())
	for _, p := range fiscalPrinters {
		cmd.AddCommand(emulateFiscal(p))
	}
	return cmd
}

func emulateScanner() *cobra.Command {
	var f emulateFlags
	var set emulator.ScannerSettings
	cmd := &cobra.Command{
		Use: "scanner", Short: "A serial barcode scanner", Args: cobra.NoArgs,
		Example: "  tillbench emulate scanner --pty /tmp/scanner\n  scan 2000000125008",
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := emulator.NewScanner(set)
			c, err := f.cable(m)
			if err != nil {
				return err
			}
			b := emulator.NewBench()
			b.Add("scanner", c, m)
			return serveBench(cmd, b, f)
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&set.Prefix, "prefix", "", "sent before each reading, such as an AIM identifier ]E0")
	cmd.Flags().StringVar(&set.Suffix, "suffix", "\r", "sent after each reading")
	cmd.Flags().BoolVar(&set.NoEnd, "no-suffix", false, "send nothing after a reading")
	cmd.Flags().DurationVar(&set.Pace, "pace", 0, "pause between two bytes")
	cmd.PreRun = func(*cobra.Command, []string) {
		if set.NoEnd {
			set.Suffix = ""
		}
	}
	return cmd
}

func printerFlags(cmd *cobra.Command, set *emulator.PrinterSettings) {
	cmd.Flags().IntVar(&set.Columns, "columns", 42, "characters in a line")
	cmd.Flags().IntVar(&set.Dots, "dots", 0, "printable width; 0 means 12 for each column")
	cmd.Flags().IntVar(&set.Lines, "lines", 0, "lines of paper on the roll; 0 is endless")
}

func emulatePrinter() *cobra.Command {
	var f emulateFlags
	var set emulator.PrinterSettings
	cmd := &cobra.Command{
		Use: "printer", Short: "An ESC/POS receipt printer", Args: cobra.NoArgs,
		Example: "  tillbench emulate printer --tcp 127.0.0.1:9100 --columns 48\n  paper out",
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := emulator.NewPrinter(set)
			c, err := f.cable(m)
			if err != nil {
				return err
			}
			b := emulator.NewBench()
			b.Add("printer", c, m)
			return serveBench(cmd, b, f)
		},
	}
	f.add(cmd, true)
	printerFlags(cmd, &set)
	return cmd
}

func emulateDisplay() *cobra.Command {
	var f emulateFlags
	var set emulator.DisplaySettings
	cmd := &cobra.Command{
		Use: "display", Short: "A customer display with two lines", Args: cobra.NoArgs,
		Example: "  tillbench emulate display --pty /tmp/display\n  text",
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := emulator.NewDisplay(set)
			c, err := f.cable(m)
			if err != nil {
				return err
			}
			b := emulator.NewBench()
			b.Add("display", c, m)
			return serveBench(cmd, b, f)
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&set.Page, "code-page", "cp437", "code page after power-on")
	cmd.Flags().BoolVar(&set.AEDEX, "aedex", false, "understand AEDEX commands only")
	return cmd
}

func emulateTill() *cobra.Command {
	var f emulateFlags
	var dir string
	var printer emulator.PrinterSettings
	cmd := &cobra.Command{
		Use: "till", Short: "A scanner, a printer and a display together", Args: cobra.NoArgs,
		Long: `A scanner, a printer and a display in one process: DIR/scanner, DIR/printer and
DIR/display on Linux, or three TCP ports on 127.0.0.1 with --tcp.`,
		Example: "  tillbench emulate till --dir /tmp/till1 --control 127.0.0.1:0",
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := emulator.NewBench()
			for _, u := range []struct {
				name string
				m    emulator.Machine
			}{{"scanner", emulator.NewScanner(emulator.ScannerSettings{})}, {"printer", emulator.NewPrinter(printer)},
				{"display", emulator.NewDisplay(emulator.DisplaySettings{})}} {
				var c *emulator.Cable
				var err error
				if f.tcp != "" {
					c, err = emulator.TCP(f.tcp, u.m)
				} else {
					c, err = emulator.PTY(filepath.Join(dir, u.name), u.m)
				}
				if err != nil {
					b.Close()
					return err
				}
				b.Add(u.name, c, u.m)
			}
			return serveBench(cmd, b, f)
		},
	}
	f.add(cmd, false)
	cmd.Flags().StringVar(&dir, "dir", "", "folder for the links to the pseudo-terminals")
	cmd.Flags().StringVar(&f.tcp, "tcp", "", "listen on TCP instead, give 127.0.0.1:0")
	cmd.MarkFlagsOneRequired("dir", "tcp")
	cmd.MarkFlagsMutuallyExclusive("dir", "tcp")
	printerFlags(cmd, &printer)
	return cmd
}

// serveBench runs a bench until the context ends or standard input says so.
func serveBench(cmd *cobra.Command, b *emulator.Bench, f emulateFlags) error {
	defer b.Close()
	ready := b.Addresses()
	failed := make(chan error, 1)
	if f.control != "" {
		l, err := net.Listen("tcp", f.control)
		if err != nil {
			return fmt.Errorf("control address: %w", err)
		}
		ready["control"] = "http://" + l.Addr().String()
		srv := &http.Server{Handler: b.Handler(), ReadHeaderTimeout: 10 * time.Second}
		go func() { failed <- srv.Serve(l) }()
		defer srv.Close()
	}
	j, err := json.Marshal(ready)
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "ready", string(j))
	ended := make(chan error, 1)
	if f.stdin {
		go func() { ended <- b.Run(cmd.InOrStdin(), cmd.OutOrStdout()) }()
	}
	select {
	case <-cmd.Context().Done():
		return nil
	case err := <-ended:
		return err
	case err := <-failed:
		return fmt.Errorf("control address: %w", err)
	}
}
