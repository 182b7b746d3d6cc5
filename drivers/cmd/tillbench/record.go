package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/line"
)

func recordCommand() *cobra.Command {
	var f emulateFlags
	var file, about string
	var baud int
	cmd := &cobra.Command{
		Use: "record PORT", Short: "Stand between a program and a device and write down what they say", Args: cobra.ExactArgs(1),
		Long: `Stand between a program and a device and write down what they say.

The program opens the new line (--pty or --tcp) instead of PORT. The file is the
form that drivertest.NewPlayback plays: > what the program sent, < what the device
sent, in hexadecimal. It holds everything, card numbers too: record with test cards.`,
		Example: "  tillbench record /dev/ttyUSB0 --baud 115200 --pty /tmp/printer --out session.txt --about 'TM-T20II, firmware 1.24'",
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			defer out.Close()
			if about != "" {
				fmt.Fprintln(out, "#", about)
			}
			port, err := line.OpenPort(cmd.Context(), nil, args[0], line.Settings{Baud: baud})
			if err != nil {
				return err
			}
			defer port.Close()
			t := &tap{port: port, out: out}
			cable, err := f.cable(t)
			if err != nil {
				return err
			}
			defer cable.Close()
			fmt.Fprintln(cmd.OutOrStdout(), "ready", cable.Address())
			return t.run(cmd.Context())
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&file, "out", "", "new file for the recording")
	cmd.Flags().StringVar(&about, "about", "", "model and firmware, for the first line")
	cmd.Flags().IntVar(&baud, "baud", 9600, "speed of PORT")
	cobra.CheckErr(cmd.MarkFlagRequired("out"))
	for _, n := range []string{"control", "stdin"} {
		cobra.CheckErr(cmd.Flags().MarkHidden(n))
	}
	return cmd
}

// tap is the machine that passes everything on.
type tap struct {
	port *line.Port
	mu   sync.Mutex
	send func([]byte)
	out  io.Writer
	err  error
}

func (t *tap) Attach(send func([]byte)) { t.mu.Lock(); defer t.mu.Unlock(); t.send = send }
func (t *tap) Detach()                  { t.mu.Lock(); defer t.mu.Unlock(); t.send = nil }

func (t *tap) note(mark string, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := fmt.Fprintf(t.out, "%s %X\n", mark, b); err != nil && t.err == nil {
		t.err = err
	}
}

func (t *tap) Receive(b []byte) {
	t.note(">", b)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := t.port.Write(ctx, b); err != nil {
		t.mu.Lock()
		t.err = err
		t.mu.Unlock()
	}
}

func (t *tap) run(ctx context.Context) error {
	b := make([]byte, 4096)
	for {
		n, err := t.port.Read(ctx, b)
		if n > 0 {
			t.note("<", b[:n])
			t.mu.Lock()
			send := t.send
			t.mu.Unlock()
			if send != nil {
				send(b[:n])
			}
		}
		t.mu.Lock()
		failed := t.err
		t.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case failed != nil:
			return failed
		}
	}
}

var _ emulator.Machine = (*tap)(nil)
