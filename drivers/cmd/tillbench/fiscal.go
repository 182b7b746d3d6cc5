package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/emulator/atol"
	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/emulator/pirit"
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
