package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/drivers/follow"
	"github.com/tillside/tillside/drivers/relay"
	"github.com/tillside/tillside/installer"
)

func (p *program) relayCmd() *cobra.Command {
	var asService, check bool
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Carry bytes between a cash program and its printer",
		Long: `Relay stands between the cash program's printer port and the printer, for
tills whose software cannot be changed. It is a process of its own and
carries every byte whether the agent runs or not; an agent of the same data
folder attaches to it, reads along and adds its lines to receipts.

What is on both sides stands under [passthrough] in the settings:

  [passthrough]
  till    = "pty:/run/tillside/printer"   # what the cash program opens
  printer = "/dev/ttyUSB0"
  model   = "epson-tm-t20iii"

Mistakes elsewhere in the settings do not stop a relay, and when the file
cannot be read at all, it works by the settings it had last.`,
		Example: "  tillside relay\n  tillside relay --check --config /etc/tillside/till.toml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := p.relaySettings()
			if err != nil {
				return err
			}
			c, err := agent.RelayConfig(all.Registry(), s.Passthrough)
			if err != nil {
				return &exit{code: exitSettings, err: err}
			}
			if check {
				if _, err := relay.New(c); err != nil {
					return &exit{code: exitSettings, err: err}
				}
				fmt.Fprintf(p.out, "till at %s, printer at %s, at most %v for the agent\n", c.Till, c.Printer, c.Hold)
				return nil
			}
			log, closer := p.logger(s, asService)
			defer closer.Close()
			work := func(ctx context.Context) error { return p.carry(ctx, c, s.Data, log) }
			if asService {
				return installer.RunService(work)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return work(ctx)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "tell what would be carried, and end")
	cmd.Flags().BoolVar(&asService, "service", false, "run under the system's service manager")
	_ = cmd.Flags().MarkHidden("service")
	cmd.AddCommand(p.relayReadCmd(), p.relayRecordCmd())
	return cmd
}

// carry runs one relay.
func (p *program) carry(ctx context.Context, c relay.Config, folder string, log *slog.Logger) error {
	debug.SetGCPercent(50)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	door, secret, err := relay.Door(folder)
	switch {
	case errors.Is(err, relay.ErrTaken):
		return &exit{code: exitInUse, err: err}
	case err != nil:
		// Without a door no agent comes in; the till sells all the same.
		log.Error("no agent can attach", "error", err)
	default:
		defer door.Close()
		c.Attach, c.Secret = door, secret
	}
	c.Log = log
	r, err := relay.New(c)
	if err != nil {
		return &exit{code: exitSettings, err: err}
	}
	ready := func(at string) {
		fmt.Fprintf(p.out, "carrying between %s and %s\n", at, c.Printer)
		installer.Ready()
	}
	return r.Run(ctx, ready)
}

// lastRelay keeps the settings a relay had last, in the data folder.
const lastRelay = "relay.last"

// relaySettings finds the settings as every command does, but is content with
// those of the relay, and with the last ones when there is no other way.
func (p *program) relaySettings() (*configs.Agent, error) {
	s, file, err := p.settings()
	if err != nil && file != "" && !errors.Is(err, configs.ErrNoFile) {
		var elsewhere configs.Problems
		var again *configs.Agent
		if again, elsewhere, err = configs.LoadRelay(file); err == nil {
			fmt.Fprintf(p.err, "tillside: what is wrong elsewhere does not stop the relay:\n%v\n", elsewhere)
			s = again
		}
	}
	folder := p.dataDir
	if s != nil {
		if folder != "" || s.Data == "" {
			s.Data = folder
		}
		folder = s.Data
	}
	if folder == "" {
		folder = installer.DefaultData()
	}
	if folder, err2 := filepath.Abs(folder); err2 == nil && s != nil {
		s.Data = folder
	}
	last := filepath.Join(folder, lastRelay)
	if err != nil {
		b, e := os.ReadFile(last)
		old := configs.DefaultAgent()
		if e != nil || json.Unmarshal(b, &old.Passthrough) != nil {
			return nil, err
		}
		fmt.Fprintf(p.err, "tillside: %v\ntillside: the relay works by the settings it had last\n", err)
		old.Data = folder
		return &old, nil
	}
	if s.Data == "" {
		s.Data = folder
	}
	if b, e := json.Marshal(s.Passthrough); e == nil && s.Passthrough.Till != "" && os.MkdirAll(s.Data, 0o700) == nil {
		_ = os.WriteFile(last, b, 0o600) // a help for a bad day, no condition
	}
	return s, nil
}

func (p *program) relayReadCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "read FILE…",
		Short: "Tell what would be read from a till's bytes",
		Long: `Read decodes files of bytes that a till has sent to its printer, as the agent
would by the settings: for finding the patterns of a plain receipt. Make such a
file with "relay record". Fiscal printers confirm every command, so their
traffic cannot be read from the till's side alone.`,
		Example: "  tillside relay read till.bin\n  tillside relay read --config new.toml till.bin",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, _, err := p.settings()
			if err != nil {
				return err
			}
			if s.Passthrough.Driver == "" && s.Passthrough.Model == "" {
				s.Passthrough.Driver = "escpos"
			}
			for _, file := range args {
				b, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				f, err := agent.Follower(all.Registry(), s.Passthrough)
				if err != nil {
					return &exit{code: exitSettings, err: err}
				}
				// A recording begins where a till begins.
				evs := f.Till(0, append([]byte("\x1b@"), b...), time.Now())
				p.tellRead(file, append(evs, f.Gap("the file ends")...))
			}
			return nil
		},
	}
}

func (p *program) tellRead(file string, evs []follow.Event) {
	n := 0
	for _, e := range evs {
		switch e.Kind {
		case follow.Closed:
			n++
			r := e.Receipt
			fmt.Fprintf(p.out, "%s: receipt %s\n", file, r.Number)
			for _, l := range r.Lines {
				fmt.Fprintf(p.out, "  %-30s %8s x %8s = %8s", l.Name, thousandth(l.Quantity), hundredth(l.Price), hundredth(l.Amount))
				if l.Discount != 0 {
					fmt.Fprintf(p.out, "  -%s", hundredth(l.Discount))
				}
				fmt.Fprintln(p.out)
			}
			fmt.Fprintf(p.out, "  total %s", hundredth(r.Total))
			for _, t := range r.Payments {
				fmt.Fprintf(p.out, ", %s %s", t.Kind, hundredth(t.Amount))
			}
			fmt.Fprintln(p.out)
		case follow.Closing:
			fmt.Fprintf(p.out, "%s: lines would go in before byte %d\n", file, e.At)
		case follow.Lost, follow.Other:
			fmt.Fprintf(p.out, "%s: %s\n", file, e.Text)
		case follow.Cancelled:
			fmt.Fprintf(p.out, "%s: a receipt was cancelled\n", file)
		}
	}
	if n == 0 {
		fmt.Fprintf(p.out, "%s: no receipt was read\n", file)
	}
}

func hundredth(v int64) string { return fmt.Sprintf("%d.%02d", v/100, v%100) }

func thousandth(v int64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%03d", v/1000, v%1000), "0"), ".")
}

func (p *program) relayRecordCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "record FILE",
		Short: "Write down what the till sends, until Ctrl+C",
		Long: `Record attaches to the running relay in the agent's place and writes the till's
bytes to a new file. Stop the agent meanwhile: the relay has room for one. The
till prints as ever.`,
		Example: "  tillside relay record till.bin",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder, err := p.data()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			c, err := relay.Find(ctx, folder)
			if err != nil {
				return &exit{code: exitNotRunning, err: err}
			}
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			f, err := os.OpenFile(args[0], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			defer f.Close()
			n := 0
			for {
				notice, err := c.Next()
				if err != nil {
					fmt.Fprintf(p.out, "%d bytes in %s\n", n, args[0])
					if ctx.Err() != nil {
						return f.Close()
					}
					return fmt.Errorf("the relay or another agent ended it: %w", err)
				}
				if notice.Hello {
					fmt.Fprintln(p.out, "recording; print a few receipts, then press Ctrl+C")
				}
				if _, err := f.Write(notice.Till); err != nil {
					return err
				}
				n += len(notice.Till)
			}
		},
	}
}
