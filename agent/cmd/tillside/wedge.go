package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/drivers/wedge"
)

func (p *program) wedgeCmd() *cobra.Command {
	h := helper{out: p.err, watch: wedge.Watch}
	var o wedge.Options
	var tokenFile string
	var list, hidden bool
	cmd := &cobra.Command{
		Use:   "wedge",
		Short: "Windows: send a keyboard scanner's readings from the cashier's session to the agent",
		Long: `Wedge finds the readings of a scanner that pretends to be a keyboard and sends
them to the agent, which as a service sees no keyboard. It runs in the cashier's
session, once for each; without the agent it does nothing, and keys go where
they always went.

The agent has the scanner in its settings, and the helper a token that is good
for nothing else:

  [[devices]]
  name = "counter scanner"
  driver = "wedge"
  port = "session"

  tillside token add wedge --only scan > C:\ProgramData\wedge.token

Let it start with every session (as administrator, one line):

  reg add HKLM\Software\Microsoft\Windows\CurrentVersion\Run /v TillsideWedge
    /d "\"C:\Program Files\Tillside\tillside.exe\" wedge --hidden
    --token-file C:\ProgramData\wedge.token --prefix F9"

How the scanner is told from the cashier's keyboard (--by):
  prefix   the scanner sends a key first that nobody types (a set-up barcode of
           its manual); the reading is kept from the cash software's window
  timing   faster than anybody types, ended by Enter; the window sees it too
  device   one USB device, see --list; the window sees it too

Stop it with Ctrl+C or the task manager. On Linux no helper is needed.`,
		Example: "  tillside wedge --token-file wedge.token --prefix F9\n  tillside wedge --list\n  tillside wedge --token-file wedge.token --by device --device 05e0:1200",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if list {
				names, err := wedge.Keyboards()
				for _, n := range names {
					fmt.Fprintln(p.out, n)
				}
				return err
			}
			token := os.Getenv("TILLSIDE_WEDGE_TOKEN")
			if tokenFile != "" {
				b, err := os.ReadFile(tokenFile)
				if err != nil {
					return fmt.Errorf("read the token: %w", err)
				}
				token = string(bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
			}
			if token == "" {
				return &exit{code: exitUsage, err: errors.New("no token: make one with \"tillside token add wedge --only scan\" and give --token-file")}
			}
			h.token = token
			if h.url == "" {
				h.url = p.agentURL()
			}
			if hidden {
				hideConsole()
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			err := h.run(ctx, o)
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&h.reader, "reader", "", "name of the device in the agent's settings (default: the only one on port \"session\")")
	f.StringVar(&h.url, "address", "", "where the agent listens (default: as in the settings, http://127.0.0.1:8750)")
	f.StringVar(&tokenFile, "token-file", "", "file with the helper's token (or TILLSIDE_WEDGE_TOKEN)")
	f.StringVar(&o.By, "by", wedge.ByPrefix, "how the scanner is told: prefix, timing, device")
	f.StringVar(&o.Prefix, "prefix", "F9", "the key the scanner sends first: F1 to F24, scrolllock, pause, or a scan code 0x58")
	f.StringVar(&o.Device, "device", "", "VID:PID of the scanner")
	f.DurationVar(&o.Gap, "gap", 50*time.Millisecond, "longest time between two keys of the scanner")
	f.IntVar(&o.Min, "min", 6, "fewest characters of a reading found by its timing")
	f.BoolVar(&list, "list", false, "list the keyboards of this session and stop")
	f.BoolVar(&hidden, "hidden", false, "without a console window")
	return cmd
}

// agentURL is where the agent listens as far as the cashier's session can know:
// the address file when it may be read, else the settings.
func (p *program) agentURL() string {
	s, _, err := p.settings()
	if err != nil {
		return "http://127.0.0.1:8750"
	}
	if addr, err := address(s.Data); err == nil {
		return "http://" + addr
	}
	return "http://" + s.API.Listen
}

// helper sends readings to the agent.
type helper struct {
	url, token, reader string
	out                io.Writer
	watch              func(context.Context, wedge.Options, func([]byte)) error

	client http.Client
	said   string // the last thing that was told about the agent
}

// keepReadings is how many readings wait for an agent that is slow; older than
// freshReading they are of a customer who has gone.
const (
	keepReadings = 16
	freshReading = 10 * time.Second
)

type reading struct {
	text []byte
	at   time.Time
}

// run watches the keyboard and sends until ctx is done. The keyboard never
// waits for the agent: what cannot be sent soon is dropped.
func (h *helper) run(ctx context.Context, o wedge.Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	h.client = http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{Proxy: nil}}
	defer h.client.CloseIdleConnections()
	queue := make(chan reading, keepReadings)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		beat := time.NewTicker(wedge.HelperBeat)
		defer beat.Stop()
		h.send(ctx, nil)
		for {
			select {
			case r := <-queue:
				for h.send(ctx, r.text) != nil && time.Since(r.at) < freshReading {
					select {
					case <-time.After(300 * time.Millisecond):
					case <-ctx.Done():
						return
					}
				}
			case <-beat.C:
				h.send(ctx, nil)
			case <-ctx.Done():
				return
			}
		}
	}()
	err := h.watch(ctx, o, func(text []byte) {
		select {
		case queue <- reading{bytes.Clone(text), time.Now()}:
		default: // the agent is away; the sale goes on without the card
		}
	})
	stop()
	<-sent
	return err
}

// send makes the one call of a helper, and tells when the agent's answer is
// another than before.
func (h *helper) send(ctx context.Context, text []byte) error {
	say := func(s string) error {
		if s != h.said {
			h.said = s
			fmt.Fprintln(h.out, s)
		}
		if s == "the agent listens" {
			return nil
		}
		return errors.New(s)
	}
	body, err := json.Marshal(map[string]string{"reader": h.reader, "data": string(text)})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(h.url, "/")+"/v1/scans", bytes.NewReader(body))
	if err != nil {
		return say(err.Error())
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return say("no agent at " + h.url + "; readings go to the window only")
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // the status tells
	if resp.StatusCode == http.StatusOK {
		return say("the agent listens")
	}
	var e struct {
		Error till.Error `json:"error"`
	}
	if json.Unmarshal(b, &e) == nil && e.Error.Message != "" {
		return say(e.Error.Message + "; " + e.Error.Hint)
	}
	return say(resp.Status)
}
