// Command tillbench is for the bench: it lists ports, drivers and models, runs
// emulated devices and renders what a printer would print.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	cmd := root()
	err := cmd.ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tillbench:", err)
		os.Exit(1)
	}
}
