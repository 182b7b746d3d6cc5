package ssi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/line/linetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Frames as open projects send them, and computed ones.
var golden = []struct {
	hex string
	p   Packet
}{
	{"04D00400FF28", Packet{Opcode: opACK, Source: fromHost}},
	{"04D00080FEAC", Packet{Opcode: opACK, Status: 0x80}},
	{"04D00000FF2C", Packet{Opcode: opACK}},
	{"04E40400FF14", Packet{Opcode: 0xE4, Source: fromHost}},
	{"04E90408FF07", Packet{Opcode: 0xE9, Source: fromHost, Status: 8}},
	{"05F6000020FEE5", Packet{Opcode: opEvent, Data: []byte{0x20}}},
	{"05E6040005FF0C", Packet{Opcode: opBeep, Source: fromHost, Data: []byte{5}}},
	{"05D1040001FF25", Packet{Opcode: opNAK, Source: fromHost, Data: []byte{1}}},
	{"10C6040001EE019F01EC008A07F00001FB28", Packet{Opcode: opParams, Source: fromHost, Data: []byte{1, 0xEE, 1, 0x9F, 1, 0xEC, 0, 0x8A, 7, 0xF0, 0, 1}}},
	{"12F300000B34303036333831333333393331FC54", Packet{Opcode: opDecodeData, Data: []byte("\x0B4006381333931")}},
}

func TestGoldenFrames(t *testing.T) {
	t.Parallel()
	for _, g := range golden {
		want := unhex(t, g.hex)
		if got := g.p.Bytes(); !bytes.Equal(got, want) {
			t.Errorf("got % X, want % X", got, want)
		}
		p, n, err := parse(append(want, 0xAA))
		if err != nil || n != len(want) || p.Opcode != g.p.Opcode || p.Status != g.p.Status || !bytes.Equal(p.Data, g.p.Data) {
			t.Errorf("%s: %+v %d %v", g.hex, p, n, err)
		}
		bad := append([]byte(nil), want...)
		bad[2] ^= 1
		if _, n, err := parse(bad); !errors.Is(err, ErrChecksum) || n == 0 {
			t.Errorf("a damaged frame was taken: %v", err)
		}
		if _, n, _ := parse(want[:len(want)-1]); n != 0 {
			t.Error("a frame that is not whole was taken")
		}
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	for _, wire := range []string{"memory", "pty"} {
		drivertest.Reader(t, func(t *testing.T) drivertest.ReaderRig {
			m := emulator.NewSSIScanner()
			return drivertest.ReaderRig{
				Rig:  drivertest.Rig{Driver: Driver, Machine: m, Wire: wire, Options: drivers.Options{"repeat": "0s"}},
				Send: func(n string) string { m.Scan(n); return n },
			}
		})
	}
}

func TestRepeatCountsOnce(t *testing.T) {
	t.Parallel()
	m := emulator.NewSSIScanner()
	m.Patience = 100 * time.Millisecond
	r := drivertest.Start(t, drivertest.Rig{Driver: Driver, Machine: m, Options: drivers.Options{"repeat": "0s", "setup": "no"}})
	r.WaitUsable(t)
	r.Pipe.Faults(nil, linetest.Drop(0, 1, 2, 3, 4, 5)) // the first ACK is lost
	if !m.ScanType(0x0B, "4006381333931") || m.Sent() != 2 {
		t.Errorf("%d packets", m.Sent())
	}
	if !m.ScanType(0x0B, "2000000125008") {
		t.Error("the second card was not acknowledged")
	}
	for _, want := range []string{"4006381333931", "2000000125008"} {
		if s := <-r.Device.(*Reader).Scans(); s.Text != want || s.Symbology != "ean13" {
			t.Errorf("%q %s", s.Text, s.Symbology)
		}
	}
}

func TestDamagedPacketIsAskedForAgain(t *testing.T) {
	t.Parallel()
	m := emulator.NewSSIScanner()
	r := drivertest.Start(t, drivertest.Rig{Driver: Driver, Machine: m, Options: drivers.Options{"setup": "no"}})
	r.WaitUsable(t)
	r.Pipe.Faults(linetest.Flip(8, 0x10), nil)
	if !m.Scan("770000123456") || m.Sent() != 2 {
		t.Errorf("%d packets", m.Sent())
	}
	if s := <-r.Device.(*Reader).Scans(); s.Text != "770000123456" {
		t.Errorf("%q", s.Text)
	}
	if err := r.Device.(*Reader).Beep(t.Context()); err != nil {
		t.Error(err)
	}
	drivertest.Wait(t, "the beep", func() bool { return m.Beeps() == 1 })
}

func TestLongCodeInPackets(t *testing.T) {
	t.Parallel()
	m := emulator.NewSSIScanner()
	r := drivertest.Start(t, drivertest.Rig{Driver: Driver, Machine: m, Options: drivers.Options{"setup": "no"}})
	r.WaitUsable(t)
	m.Raw(emulator.SSIPacket(0xF3, statusMore, []byte("\x1Chttps://shop.example/")))
	m.Raw(emulator.SSIPacket(0xF3, 0, []byte("\x1Cc/AbC123")))
	if s := <-r.Device.(*Reader).Scans(); s.Text != "https://shop.example/c/AbC123" || s.Symbology != "qr" {
		t.Errorf("%q %s", s.Text, s.Symbology)
	}
}

func FuzzParse(f *testing.F) {
	for _, g := range golden {
		b, _ := hex.DecodeString(g.hex)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			p, n, err := parse(b)
			if n == 0 {
				return
			}
			if n > len(b) {
				t.Fatal("more taken than there is")
			}
			if err == nil && !bytes.Equal(p.Bytes(), b[:n]) {
				t.Fatalf("% X became % X", b[:n], p.Bytes())
			}
			b = b[n:]
		}
	})
}
