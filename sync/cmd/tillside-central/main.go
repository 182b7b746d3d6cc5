// Command tillside-central is the centre: it serves tills and pages, and is the
// command of central IT for members, tills, rulebooks and the ledger.
//
// Exit codes: 0 done; 1 it failed; 2 the command line was wrong; 3 a check
// found something wrong (ledger verify, members import, config check).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	cmd := command(&program{})
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	var wrong *checkFailed
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintln(os.Stderr, wrong)
		return 3
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "%v\nTry: %s --help\n", usage, cmd.Name())
		return 2
	}
	fmt.Fprintf(os.Stderr, "tillside-central: %v\n", err)
	return 1
}

// checkFailed is the outcome of a check that found something.
type checkFailed struct{ text string }

func (e *checkFailed) Error() string { return e.text }

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
