package escpos_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/escpos"
)

// A session is recorded and played back: the driver says the same bytes, and a
// file in testdata keeps what it said.
func TestRecordAndPlayback(t *testing.T) {
	t.Parallel()
	const file = "testdata/session.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	play, err := drivertest.NewPlayback(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var rec bytes.Buffer
	session(t, play, &rec)
	if err := play.Err(); err != nil {
		t.Error(err)
	}
	if !play.Done() {
		t.Error("the recording was not played to its end")
	}
	again, err := drivertest.NewPlayback(&rec)
	if err != nil {
		t.Fatal(err)
	}
	session(t, again, nil)
	if err := again.Err(); err != nil || !again.Done() {
		t.Error("the recording of the playback:", err)
	}
}

// session prints one slip on a machine.
func session(t *testing.T, m emulator.Machine, rec *bytes.Buffer) {
	t.Helper()
	cable, pipe := emulator.Memory(m)
	defer cable.Close()
	open := pipe.Open
	env := drivers.Env{OpenLine: open}
	if rec != nil {
		env.OpenLine = drivertest.Record(open, rec)
	}
	reg := drivers.NewRegistry()
	reg.Add(escpos.Driver)
	dev, err := reg.Build(drivers.Config{Name: "p", Driver: "escpos", Port: "memory", Options: drivers.Options{"poll": "1h"}}, env)
	if err != nil {
		t.Fatal(err)
	}
	if err := dev.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	out, err := dev.(drivers.Printer).Print(t.Context(), drivers.Lines("s", "Баланс: 1250"))
	if out != drivers.OutcomePrinted {
		t.Errorf("%s, %v", out, err)
	}
}

func TestPlaybackTellsAnotherWay(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"x 00", "> 0", "nothing"} {
		if _, err := drivertest.NewPlayback(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	p, err := drivertest.NewPlayback(strings.NewReader("# about\n> 1B 40\n< 12\n"))
	if err != nil {
		t.Fatal(err)
	}
	var sent []byte
	p.Attach(func(b []byte) { sent = append(sent, b...) })
	p.Receive([]byte{0x1B})
	p.Receive([]byte{0x40})
	if len(sent) != 1 || !p.Done() || p.Err() != nil {
		t.Errorf("% X %v", sent, p.Err())
	}
	p, _ = drivertest.NewPlayback(strings.NewReader("> 1B40\n"))
	p.Receive([]byte{0x1B, 0x41})
	if p.Err() == nil {
		t.Error("another byte was taken")
	}
}
