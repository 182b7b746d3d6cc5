package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/drivers/emulator"
)

func renderCommand() *cobra.Command {
	var set emulator.PrinterSettings
	var text bool
	var png string
	cmd := &cobra.Command{
		Use: "render FILE", Short: "Show what an ESC/POS printer would print", Args: cobra.ExactArgs(1),
		Long: `Show what an ESC/POS printer would print from the bytes of FILE ("-" is standard
input). Commands that are not understood are listed on standard error.`,
		Example: "  tillbench render job.bin --text\n  tillbench render job.bin --png slip.png --columns 48",
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			data, err := io.ReadAll(io.LimitReader(in, 64<<20))
			if err != nil {
				return err
			}
			if !text && png == "" {
				text = true
			}
			p := emulator.NewPrinter(set)
			p.Feed(data)
			slip := p.Roll().All()
			for _, u := range p.Unknown() {
				fmt.Fprintln(cmd.ErrOrStderr(), "not understood:", u)
			}
			var errs []error
			if text {
				_, err := io.WriteString(cmd.OutOrStdout(), slip.Text(set.Columns))
				errs = append(errs, err)
			}
			if png != "" {
				img, err := slip.PNG(p.Roll().Dots)
				if err == nil {
					err = os.WriteFile(png, img, 0o644)
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	}
	printerFlags(cmd, &set)
	cmd.Flags().BoolVar(&text, "text", false, "as text on standard output (the default)")
	cmd.Flags().StringVar(&png, "png", "", "as a picture in this file")
	return cmd
}
