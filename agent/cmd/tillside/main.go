// Command tillside is the agent beside a till, and its tools.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{Use: "tillside", Short: "the loyalty agent beside a till", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(rulebookCommand())
	if err := root.Execute(); err != nil {
		var e *exitError
		if !errors.As(err, &e) {
			e = &exitError{code: exitUsage, err: err}
		}
		if !e.quiet {
			fmt.Fprintln(os.Stderr, "tillside:", e.err)
		}
		os.Exit(e.code)
	}
}
