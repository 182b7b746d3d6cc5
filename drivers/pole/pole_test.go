package pole_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/codepage"
	"github.com/tillside/tillside/drivers/drivertest"
	"github.com/tillside/tillside/drivers/emulator"
	"github.com/tillside/tillside/drivers/pole"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"epson", "cd5220", "logic", "aedex"} {
		wires := []string{"memory"}
		if dialect == "epson" {
			wires = append(wires, "pty", "tcp")
		}
		for _, wire := range wires {
			t.Run(dialect+" "+wire, func(t *testing.T) {
				t.Parallel()
				drivertest.Display(t, func(t *testing.T) drivertest.DisplayRig {
					m := emulator.NewDisplay(emulator.DisplaySettings{AEDEX: dialect == "aedex"})
					return drivertest.DisplayRig{Lines: m.Lines,
						Rig: drivertest.Rig{Driver: pole.Driver, Machine: m, Wire: wire, Options: drivers.Options{"dialect": dialect}}}
				})
			})
		}
	}
}

// Bytes of the notes' examples.
func TestKnownBytes(t *testing.T) {
	t.Parallel()
	e := pole.Encoder{Dialect: pole.Epson, Columns: 20, Page: codepage.Must("cp866"), Number: 17, Through: true}
	got := hex.EncodeToString(e.Show("Анна, карта", "Баллов:         1250"))
	want := "1b3d02" + "1f240101" + "80adada02c20aaa0e0e2a0202020202020202020" +
		"1f240102" + "81a0ababaea23a20202020202020202031323530" + "1b3d01"
	if got != want {
		t.Errorf("epson:\n got %s\nwant %s", got, want)
	}
	c := pole.Encoder{Dialect: pole.CD5220, Columns: 20, Page: codepage.Must("cp437"), Number: -1}
	if got := hex.EncodeToString(c.Show("TOTAL           4.50", "")); !strings.HasPrefix(got, "1b5141544f54414c2020202020202020202020342e35300d") {
		t.Errorf("cd5220: %s", got)
	}
}

func TestScroll(t *testing.T) {
	t.Parallel()
	m := emulator.NewDisplay(emulator.DisplaySettings{})
	r := drivertest.Start(t, drivertest.Rig{Driver: pole.Driver, Machine: m, Options: drivers.Options{"scroll": true, "scroll_step": "50ms"}})
	r.WaitUsable(t)
	if err := r.Device.(drivers.Display).Show(t.Context(), "Anna Maria Wołodyjowska-Ketling", "1250 points"); err != nil {
		t.Fatal(err)
	}
	drivertest.Wait(t, "the end of the name", func() bool {
		top, bottom := m.Lines()
		return strings.Contains(top, "Ketling") && strings.TrimRight(bottom, " ") == "1250 points"
	})
}

// A CD5220 display is told the whole name and moves it by itself.
func TestDisplayScrollsByItself(t *testing.T) {
	t.Parallel()
	m := emulator.NewDisplay(emulator.DisplaySettings{})
	r := drivertest.Start(t, drivertest.Rig{Driver: pole.Driver, Machine: m, Options: drivers.Options{"dialect": "cd5220", "scroll_by": "display", "scroll_step": "50ms"}})
	r.WaitUsable(t)
	d := r.Device.(drivers.Display)
	const name = "Anna Maria Wołodyjowska-Ketling"
	if err := d.Show(t.Context(), name, "1250 points"); err != nil {
		t.Fatal(err)
	}
	drivertest.Wait(t, "the whole name", func() bool {
		_, bottom := m.Lines()
		return m.Rolling() == "Anna Maria Wolodyjowska-Ketling" && strings.TrimRight(bottom, " ") == "1250 points"
	})
	if err := d.Show(t.Context(), "Jan", ""); err != nil {
		t.Fatal(err)
	}
	drivertest.Wait(t, "a short name that stands", func() bool { top, _ := m.Lines(); return m.Rolling() == "" && strings.TrimRight(top, " ") == "Jan" })
	if m.Unknown() != 0 {
		t.Errorf("%d commands were not understood", m.Unknown())
	}
}

// Letters the display lacks are told before a line is made of them.
func TestSpell(t *testing.T) {
	t.Parallel()
	r := drivertest.Start(t, drivertest.Rig{Driver: pole.Driver, Machine: emulator.NewDisplay(emulator.DisplaySettings{}), Options: drivers.Options{"code_page": "cp852"}})
	a, ok := drivers.As[drivers.Typesetter](r.Device)
	if got := a.Spell("Щука", "Łódź"); !ok || got[0] != "Shchuka" || got[1] != "Łódź" {
		t.Errorf("%q", got)
	}
	if s, ok := drivers.As[drivers.Scroller](r.Device); !ok || !s.Scrolls() {
		t.Error("it does not scroll by default")
	}
}
