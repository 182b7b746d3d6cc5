// Command tilldemo shows the main job on this machine with nothing to set up:
// a centre and three tills, each with its own scanner, receipt printer and
// customer display, sell 2,025 real receipts while cables are cut and programs
// are killed. In the end the tills and the centre's ledger must agree to the
// hundredth of a point.
//
//	tilldemo run    the whole replay, then a slip per language and a table; exit 0 only if both sides agree
//	tilldemo offline  how often members' wishes to use points are granted at stores without a link
//	tilldemo up     the same chain left running, with the addresses to try it by hand
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/tillside/tillside/agent/e2e/world"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tilldemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	if len(args) > 0 && args[0] == "offline" {
		return offlineCommand(ctx, out, args[1:])
	}
	if len(args) == 0 || args[0] != "run" && args[0] != "up" {
		return errors.New("say `tilldemo run`, `tilldemo offline` or `tilldemo up`; add -h for what can be set")
	}
	flags := flag.NewFlagSet("tilldemo "+args[0], flag.ContinueOnError)
	bin := flags.String("bin", "bin", "folder of tillside, tillside-central and tillbench")
	dir := flags.String("dir", "", "where the chain keeps its data (default: a new folder, removed in the end)")
	var o options
	flags.StringVar(&o.slips, "slips", "out/demo", "where the pictures of the slips go")
	flags.IntVar(&o.receipts, "receipts", 0, "stop after so many receipts (0: all)")
	flags.IntVar(&o.kills, "kills", 2, "how many programs to kill on the way, the centre and agents by turns")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if *dir == "" {
		made, err := os.MkdirTemp("", "tilldemo")
		if err != nil {
			return err
		}
		*dir = made
		defer os.RemoveAll(made)
	}
	w, err := openShops(ctx, out, *bin, *dir)
	if w != nil {
		defer w.Close()
	}
	if err != nil {
		return fmt.Errorf("%w\n(logs are in %s; give -dir to keep them)", err, *dir)
	}
	if args[0] == "up" {
		return leaveRunning(ctx, out, w)
	}
	return replay(ctx, out, w, o)
}

// options are what can be set of a replay.
type options struct {
	slips    string
	receipts int
	kills    int
}

// leaveRunning prints where everything is and waits for Ctrl+C.
func leaveRunning(ctx context.Context, out io.Writer, w *world.World) error {
	password, err := w.Password()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\ncentre          https://%s/   admin, password %s\n", w.CentreAddress(), password)
	for _, t := range w.Tills {
		at := "http://" + t.Cash.Address()
		fmt.Fprintf(out, "\ntill %s (%s)\n", t.Name, t.Language)
		fmt.Fprintf(out, "  cashier page  %s/cashier#token=%s\n", at, t.Cash.Token)
		fmt.Fprintf(out, "  practice till %s/practice#token=%s\n", at, t.Cash.Token)
		fmt.Fprintf(out, "  printer       http://%s/png?device=printer\n  display       http://%s/grid\n", t.ControlAddress(), t.ControlAddress())
		fmt.Fprintf(out, "  scan a card   curl -d '{\"data\":\"%s\"}' http://%s/scan\n", sampleCard, t.ControlAddress())
	}
	fmt.Fprintln(out, "\nCtrl+C ends it.")
	<-ctx.Done()
	return nil
}
