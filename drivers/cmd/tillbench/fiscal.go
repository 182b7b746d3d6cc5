package main

import (
	"time"

	"github.com/spf13/cobra"

	protocol "github.com/tillside/tillside/drivers/datecs"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/emulator/atol"
	"github.com/tillside/tillside/drivers/emulator/datecs"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/novitus"
	"github.com/tillside/tillside/drivers/emulator/pirit"
	"github.com/tillside/tillside/drivers/emulator/posnet"
	"github.com/tillside/tillside/drivers/emulator/shtrih"
)

// fiscalPrinter is a fiscal printer that tillbench can emulate: a command, and
// the flags that make its options.
type fiscalPrinter struct {
	use, short string
	flags      func(cmd *cobra.Command) func() fiscal.Printer
}

var fiscalPrinters = []fiscalPrinter{
	{"shtrih", "A Shtrih-M fiscal register, both framings", func(cmd *cobra.Command) func() fiscal.Printer {
		var o shtrih.Options
		cmd.Flags().StringVar(&o.Name, "name", "", "name in the device type answer")
		cmd.Flags().IntVar(&o.Columns, "columns", 36, "characters in a line")
		cmd.Flags().BoolVar(&o.FN, "fn", false, "with fiscal storage: FF45h, FF46h, receipts need an open shift")
		cmd.Flags().BoolVar(&o.Nonfiscal, "nonfiscal", false, "knows non-fiscal documents E2h and E3h")
		cmd.Flags().BoolVar(&o.Buffered, "buffered", false, "prints non-fiscal documents when they are closed")
		return func() fiscal.Printer { return shtrih.New(o) }
	}},
	{"pirit", "A Pirit or Viki Print fiscal register", func(cmd *cobra.Command) func() fiscal.Printer {
		var o pirit.Options
		cmd.Flags().StringVar(&o.Model, "model", "2", "answer to 02h/21: 1 and 2 Pirit, 57 and 80 Viki Print")
		cmd.Flags().BoolVar(&o.Narrow, "narrow", false, "57 mm paper")
		return func() fiscal.Printer { return pirit.New(o) }
	}},
	{"atol", "An ATOL fiscal register, transport 3", func(cmd *cobra.Command) func() fiscal.Printer {
		var o atol.Options
		cmd.Flags().IntVar(&o.Columns, "columns", 42, "characters in a line")
		return func() fiscal.Printer { return atol.New(o) }
	}},
	{"posnet", "A Posnet printer, POSNET protocol", func(cmd *cobra.Command) func() fiscal.Printer {
		var o posnet.Options
		cmd.Flags().IntVar(&o.Columns, "columns", 40, "characters in a line, 40 or 56")
		cmd.Flags().StringVar(&o.CodePage, "code-page", "cp1250", "cp1250, iso8859-2 or mazovia")
		return func() fiscal.Printer { return posnet.New(o) }
	}},
	{"datecs", "A Datecs printer, ISL or PM/X", func(cmd *cobra.Command) func() fiscal.Printer {
		var o datecs.Options
		var pm bool
		cmd.Flags().IntVar(&o.Columns, "columns", 42, "characters in a line")
		cmd.Flags().BoolVar(&pm, "pm", false, "the PM/X form; ISL without")
		return func() fiscal.Printer {
			if pm {
				o.Form = protocol.PM
			}
			return datecs.New(o)
		}
	}},
	{"novitus", "A Novitus or Posnet Thermal printer, ESC-P protocol", func(cmd *cobra.Command) func() fiscal.Printer {
		var o novitus.Options
		cmd.Flags().IntVar(&o.Columns, "columns", 40, "characters in a line")
		cmd.Flags().BoolVar(&o.Thermal, "thermal", false, "without what Novitus added to the protocol")
		cmd.Flags().StringVar(&o.CodePage, "code-page", "mazovia", "letters of the printer")
		return func() fiscal.Printer { return novitus.New(o) }
	}},
}

func emulateFiscal(p fiscalPrinter) *cobra.Command {
	var f emulateFlags
	var replug time.Duration
	cmd := &cobra.Command{
		Use: p.use, Short: p.short, Args: cobra.NoArgs,
		Long: p.short + `.

Beside the common lines it obeys by HTTP:

  curl -s $C/state -d '{"shift":"old"}'                   over 24 hours
  curl -s $C/state -d '{"memory":"full"}'
  curl -s $C/state -d '{"fail":"silence","after":3}'      strikes the fourth command from now

Faults for one command: deaf, bad_frame, silence, garbage, half, bad_check,
unplug_before, unplug_after, power_cut.`,
		Example: "  tillbench emulate " + p.use + " --pty /tmp/fp --control 127.0.0.1:0\n  paper out",
	}
	build := p.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		m := fiscal.NewBridge(build())
		m.Replug = replug
		c, err := f.cable(m)
		if err != nil {
			return err
		}
		m.On(c)
		b := emulator.NewBench()
		b.Add(p.use, c, m)
		return serveBench(cmd, b, f)
	}
	f.add(cmd, true)
	cmd.Flags().DurationVar(&replug, "replug", 2*time.Second, "how long the plug is out after a fault pulled it, 0 for good")
	return cmd
}
