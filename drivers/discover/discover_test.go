package discover_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/drivers/discover"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/line"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listener takes what it is sent and answers a question with one byte.
type listener struct {
	answers map[byte]byte
	mu      sync.Mutex
	send    func([]byte)
	got     []byte
}

func (l *listener) Attach(send func([]byte)) { l.send = send }
func (l *listener) Detach()                  {}
func (l *listener) Receive(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range b {
		l.got = append(l.got, c)
		if a, ok := l.answers[c]; ok {
			l.send([]byte{0xFF, a})
		}
	}
}

func (l *listener) heard() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.got)
}

func TestScan(t *testing.T) {
	printer := emulator.NewPrinter(emulator.PrinterSettings{Maker: "ACME", Model: "TM-1", Serial: "S77"})
	dumb := &listener{}
	machines := []struct {
		m      emulator.Machine
		family string
	}{
		{printer, "escpos"},
		{dumb, ""},
		{&listener{answers: map[byte]byte{0x05: 0x06}}, "pirit or atol"},
		{&listener{answers: map[byte]byte{0x05: 0x6D, 0x10: 0x72}}, "thermal"},
	}
	var ports []line.Info
	for _, m := range machines {
		c, err := emulator.TCP("127.0.0.1:0", m.m)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ports = append(ports, line.Info{Name: c.Address()})
	}
	ports = append(ports, line.Info{Name: t.TempDir() + "/gone"})
	found, err := discover.Scan(t.Context(), discover.Options{Registry: all.Registry(), Ports: ports, Wait: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range machines {
		if found[i].Family != m.family || found[i].Note == "" {
			t.Errorf("%d: got %+v, want %s", i, found[i], m.family)
		}
	}
	if id := found[0].Identity; id == nil || id.Serial != "S77" {
		t.Errorf("the printer's identity: %+v", found[0])
	}
	if found[4].Code != drivers.Absent {
		t.Errorf("a port that is not there: %+v", found[4])
	}
	// Nothing but the two harmless questions went to the device that is silent.
	rest := bytes.ReplaceAll(dumb.heard(), []byte{0x10, 0x04, 0x01}, nil)
	if len(bytes.Trim(rest, "\x05")) > 0 {
		t.Errorf("an unknown device was sent % X", dumb.heard())
	}
	if s := printer.Roll().All().Text(42); s != "" {
		t.Errorf("finding printed %q", s)
	}
	if printer.Pulses() != 0 {
		t.Error("finding opened the drawer")
	}
}

func TestListOnlySendsNothing(t *testing.T) {
	found, err := discover.Scan(t.Context(), discover.Options{Registry: all.Registry(), ListOnly: true, Ports: []line.Info{
		{Name: "COM7", USB: true, VID: "0c2e", PID: "0b61", Serial: "X1", Stable: []string{"usb:0c2e:0b61:X1"}},
		{Name: "COM8", USB: true, VID: "04b8", PID: "0202", Stable: []string{"usb:04b8:0202", "/dev/serial/by-path/p"}},
		{Name: "COM9", USB: true, VID: "0403", PID: "6001", Serial: "A9", Stable: []string{"usb:0403:6001:A9"}},
	}, Open: func(context.Context, string, line.Settings) (line.Raw, error) {
		t.Error("a port was opened")
		return nil, line.ErrAbsent
	}})
	if err != nil {
		t.Fatal(err)
	}
	if found[0].Address != "usb:0c2e:0b61:X1" || len(found[0].Models) == 0 || !strings.HasPrefix(found[0].Models[0], "honeywell") {
		t.Errorf("%+v", found[0])
	}
	if found[1].Address != "/dev/serial/by-path/p" || len(found[1].Models) == 0 {
		t.Errorf("%+v", found[1])
	}
	if len(found[2].Models) != 0 {
		t.Errorf("a bridge chip proves nothing: %+v", found[2])
	}
}

func TestSmoke(t *testing.T) {
	reg := all.Registry()
	printer, display, scanner := emulator.NewPrinter(emulator.PrinterSettings{}), emulator.NewDisplay(emulator.DisplaySettings{}),
		emulator.NewScanner(emulator.ScannerSettings{})
	for _, c := range []struct {
		driver string
		m      emulator.Machine
		want   string
	}{{"escpos", printer, "test slip: printed"}, {"pole", display, "20 by 2"}, {"barcode", scanner, "read: barcode, 13 characters"}} {
		t.Run(c.driver, func(t *testing.T) {
			cable, pipe := emulator.Memory(c.m)
			defer cable.Close()
			dev, err := reg.Build(drivers.Config{Name: "x", Driver: c.driver, Port: "memory"}, drivers.Env{OpenLine: pipe.Open})
			if err != nil {
				t.Fatal(err)
			}
			if err := dev.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer dev.Close()
			if c.driver == "barcode" {
				pipe.WaitOpen()
				scanner.Scan("2000000125008")
			}
			var out strings.Builder
			if err := discover.Smoke(t.Context(), dev, &out); err != nil {
				t.Error(err)
			}
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("%q is missing in\n%s", c.want, out.String())
			}
			if strings.Contains(out.String(), "2000000125008") {
				t.Error("the card is told")
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	dev, err := reg.Build(drivers.Config{Name: "x", Driver: "escpos", Port: t.TempDir() + "/none"}, drivers.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	var out strings.Builder
	if err := discover.Smoke(ctx, dev, &out); err == nil || !strings.Contains(out.String(), "absent") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
