package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/agent/e2e/retail"
	"github.com/tillside/tillside/agent/e2e/world"
)

// The story: each till loses its cable for every third run of receipts, not all
// at the same time; the centre is killed, and so is one agent.
const cutRun = 60 // receipts

func replay(ctx context.Context, out io.Writer, w *world.World, o options) error {
	all, err := retail.Recent(time.Now().UTC())
	if err != nil {
		return err
	}
	if o.receipts > 0 && o.receipts < len(all) {
		all = all[:o.receipts]
	}
	queue := make([][]retail.Receipt, len(w.Tills))
	for i, r := range all {
		n := tillOf(r.Member, i)
		queue[n] = append(queue[n], r)
	}

	started := time.Now()
	var progress atomic.Int64
	counters := make([]*counter, len(w.Tills))
	failed := make([]error, len(w.Tills))
	var tills sync.WaitGroup
	for n, t := range w.Tills {
		c := newCounter(t, &progress)
		counters[n] = c
		defer c.listen(ctx)()
		tills.Go(func() {
			failed[n] = c.work(ctx, queue[n], func(i int) bool { return (i/cutRun+n)%3 == 2 })
		})
	}
	watched, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { show(watched, out, w, &progress, int64(len(all))) })
	var trouble sync.WaitGroup
	var troubleErr error
	trouble.Go(func() { troubleErr = kills(watched, out, w, &progress, int64(len(all)), o.kills) })
	tills.Wait()
	if errors.Join(failed...) != nil {
		stop() // a till gave up: do not wait for the kills that now never come
	}
	trouble.Wait()
	stop()
	watching.Wait()
	if err := errors.Join(append(failed, troubleErr)...); err != nil {
		return err
	}
	fmt.Fprintf(out, "\rreplayed %d receipts in %.0f s; waiting for the queues to drain …\n", len(all), time.Since(started).Seconds())
	if err := drained(ctx, w); err != nil {
		return err
	}
	for n, c := range counters {
		if err := c.lastSale(ctx, queue[n]); err != nil {
			return fmt.Errorf("last sale at till %s: %w", c.till.Name, err)
		}
	}
	if err := drained(ctx, w); err != nil {
		return err
	}
	if err := showSlips(ctx, out, w, o.slips); err != nil {
		return err
	}
	for n, c := range counters {
		if err := c.takeBackElsewhere(ctx, counters[(n+1)%len(counters)]); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "goods of the last sale of each till came back at the next till\n")
	if err := drained(ctx, w); err != nil {
		return err
	}
	return compare(ctx, out, w, counters)
}

// kills ends programs with SIGKILL, evenly spread over the replay, and starts
// them again as the service manager would: the centre, an agent, the centre,
// the next agent, and so on.
func kills(ctx context.Context, out io.Writer, w *world.World, progress *atomic.Int64, total int64, number int) error {
	at := func(receipts int64) bool {
		return world.Wait(ctx, time.Hour, func() (bool, error) { return progress.Load() >= receipts, nil }) == nil
	}
	for n := range number {
		when := total * int64(n+1) / int64(number+1)
		if !at(when) {
			return nil // the replay ended early and says why
		}
		if n%2 == 0 {
			fmt.Fprintf(out, "\rSIGKILL of the centre at receipt %d\n", progress.Load())
			w.Centre.Kill()
			if !at(when + total/50) { // the tills sell on meanwhile
				return nil
			}
			if err := w.RestartCentre(ctx); err != nil {
				return err
			}
			continue
		}
		t := w.Tills[(n/2+1)%len(w.Tills)]
		fmt.Fprintf(out, "\rSIGKILL of the agent of till %s at receipt %d\n", t.Name, progress.Load())
		t.Agent.Kill()
		if err := t.Agent.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// show keeps one progress line up to date.
func show(ctx context.Context, out io.Writer, w *world.World, progress *atomic.Int64, total int64) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	last := int64(-1)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n := progress.Load()
		if terminal(out) {
			fmt.Fprintf(out, "\r%5d of %d receipts  %s", n, total, links(w))
		} else if n*10/total != last {
			last = n * 10 / total
			fmt.Fprintf(out, "%5d of %d receipts  %s\n", n, total, links(w))
		}
	}
}

func links(w *world.World) string {
	s := ""
	for _, t := range w.Tills {
		state := "connected"
		if t.Link.IsCut() {
			state = "cut      "
		}
		s += fmt.Sprintf(" till %s %s", t.Name, state)
	}
	return s
}

func terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// showSlips prints what each printer printed last and keeps its picture.
func showSlips(ctx context.Context, out io.Writer, w *world.World, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, t := range w.Tills {
		text, err := t.Control(ctx, "GET", "/text?device=printer&slip=last", "")
		if err != nil {
			return err
		}
		picture, err := t.Control(ctx, "GET", "/png?device=printer&slip=last", "")
		if err != nil {
			return err
		}
		name := filepath.Join(dir, "slip-"+t.Language+".png")
		if err := os.WriteFile(name, picture, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(out, "\ntill %s, %s, as the printer printed it (picture: %s)\n\n%s\n", t.Name, t.Language, name, text)
	}
	return nil
}
