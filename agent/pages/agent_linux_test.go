package pages

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/tillside/tillside/drivers/emulator"
)

// counter is a whole till as it stands in a shop: the real programs of agent
// and centre, and a scanner, a printer and a display on serial lines.
type counter struct {
	t       *testing.T
	dir     string
	centre  *exec.Cmd
	agent   *exec.Cmd
	scanner *emulator.Scanner
	printer *emulator.Printer
	display *emulator.Display
	cables  map[string]*emulator.Cable
}

var programs struct {
	sync.Once
	dir string
	err error
}

// build makes the two programs once for all tests.
func build(t *testing.T) string {
	t.Helper()
	chromium(t) // skips where no browser is, before anything is built
	programs.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "pages-programs-"); programs.err != nil {
			return
		}
		browser.stop = append(browser.stop, func() { os.RemoveAll(programs.dir) })
		cmd := exec.Command("go", "build", "-o", programs.dir, "../cmd/tillside", "../../sync/cmd/tillside-central")
		if out, err := cmd.CombinedOutput(); err != nil {
			programs.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if programs.err != nil {
		t.Fatalf("build the programs: %v", programs.err)
	}
	return programs.dir
}

const people = `external_id,card,phone,first_name,tier,balance,card_status,language
1,2000000125008,+48601234567,Anna,silver,40.50,active,pl
2,2000000000022,,Jan,basic,22.00,inactive,en
3,2000000000039,,Ольга,silver,311.00,blocked,ru
5,2000000000077,,Maria,basic,128.40,active,en
4,2000000000053,,<img src=x onerror=document.title=1>,basic,5.00,active,en
`

// newCounter sets everything up in a language and waits until it is at work.
func newCounter(t *testing.T, lang string) *counter {
	t.Helper()
	build(t)
	c := &counter{t: t, dir: t.TempDir(), cables: map[string]*emulator.Cable{}, scanner: emulator.NewScanner(emulator.ScannerSettings{}),
		printer: emulator.NewPrinter(emulator.PrinterSettings{Columns: 42}), display: emulator.NewDisplay(emulator.DisplaySettings{})}
	for name, m := range map[string]emulator.Machine{"scanner": c.scanner, "printer": c.printer, "display": c.display} {
		cable, err := emulator.PTY(filepath.Join(c.dir, "dev", name), m)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cable.Close() })
		c.cables[name] = cable
	}
	c.write("people.csv", people)
	rules, err := filepath.Abs("../../configs/rulebooks/grocer.json")
	if err != nil {
		t.Fatal(err)
	}
	c.central("rulebook", "publish", rules)
	c.central("members", "import", filepath.Join(c.dir, "people.csv"))
	c.startCentre("127.0.0.1:0")
	code := strings.Fields(c.central("till", "add", "--store", "7", "--till", "2"))[0]
	c.write("till/till.toml", fmt.Sprintf(`version = 1
language = %q
phone_prefix = "48"
[api]
listen = "127.0.0.1:0"
practice = "on"
[slip]
header = ["Corner Club", "Mill Lane 7"]
[[devices]]
name = "scanner"
driver = "barcode"
port = %q
[[devices]]
name = "printer"
driver = "escpos"
port = %q
[devices.options]
columns = 42
[[devices]]
name = "display"
driver = "pole"
port = %q
`, lang, c.cables["scanner"].Address(), c.cables["printer"].Address(), c.cables["display"].Address()))
	c.till("enrol", "--server", "https://"+c.address("centre"), "--code", code)
	c.startAgent("")
	return c
}

func (c *counter) write(name, text string) {
	c.t.Helper()
	name = filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// central and till run one command and give what it prints.
func (c *counter) central(args ...string) string {
	c.t.Helper()
	return c.run("tillside-central", append(args, "--data", filepath.Join(c.dir, "centre"))...)
}

func (c *counter) till(args ...string) string {
	c.t.Helper()
	return c.run("tillside", append(args, "--data", filepath.Join(c.dir, "till"))...)
}

func (c *counter) run(program string, args ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(programs.dir, program), args...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("%s %v: %v\n%s%s", program, args, err, &out, &talk)
	}
	return out.String()
}

// address waits for the address a program wrote into its data folder.
func (c *counter) address(name string) string {
	c.t.Helper()
	file := filepath.Join(c.dir, name, "address")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(file); err == nil && len(b) > 0 {
			return strings.TrimSpace(string(b))
		}
	}
	c.t.Fatalf("%s was never written", file)
	return ""
}

func (c *counter) start(name, program string, args ...string) *exec.Cmd {
	c.t.Helper()
	os.Remove(filepath.Join(c.dir, name, "address"))
	cmd := exec.Command(filepath.Join(programs.dir, program), args...)
	log, err := os.OpenFile(filepath.Join(c.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if c.t.Failed() {
			b, _ := os.ReadFile(log.Name())
			c.t.Logf("%s says:\n%s", program, b)
		}
	})
	c.address(name)
	return cmd
}

func (c *counter) startCentre(listen string) {
	c.t.Helper()
	c.centre = c.start("centre", "tillside-central", "run", "--data", filepath.Join(c.dir, "centre"), "--listen", listen)
}

// startAgent starts the agent; at an address, or at a free one.
func (c *counter) startAgent(listen string) {
	c.t.Helper()
	args := []string{"run", "--data", filepath.Join(c.dir, "till")}
	if listen != "" {
		args = append(args, "--listen", listen)
	}
	c.agent = c.start("till", "tillside", args...)
}

// kill ends a program without warning.
func kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// page is what a person opens: the address that `tillside page` prints.
func (c *counter) page(args ...string) string {
	c.t.Helper()
	return strings.TrimSpace(c.till(append([]string{"page"}, args...)...))
}

// scan holds a card before the scanner.
func (c *counter) scan(card string) {
	c.t.Helper()
	if !c.scanner.Scan(card) {
		c.t.Fatal("the scanner has no line")
	}
}

// eventually waits for something outside the browser.
func (c *counter) eventually(what string, get func() string, parts ...string) {
	c.t.Helper()
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		got = get()
		ok := true
		for _, p := range parts {
			ok = ok && strings.Contains(got, p)
		}
		if ok {
			return
		}
	}
	c.t.Fatalf("%s never showed %q; it shows\n%s", what, parts, got)
}

func (c *counter) paper() string { return c.printer.Roll().All().Text(42) }

// The main job, end to end, as a cashier sees it: a card before the scanner,
// the greeting on page and display, a basket, points, payment, the printed
// slip, and the receipt taken back.
func TestRealCounter(t *testing.T) {
	for lang, w := range map[string]struct{ ready, offer, paid, thanks, slip, voided string }{
		"en": {"Ready.", "3.00 off baskets of 60.00: ", "paid", "Thank you", "Balance", "cancelled"},
		"ru": {"Готово.", "3,00 скидки от 60,00: ", "оплачен", "Спасибо", "балл", "отменён"},
		"pl": {"Gotowe.", "3,00 rabatu od 60,00: ", "zapłacony", "Dziękuję", "punkt", "anulowany"},
	} {
		t.Run(lang, func(t *testing.T) {
			c := newCounter(t, lang)
			page := open(t, c.page(), 1024, 768)
			till := open(t, c.page("--practice"), 1024, 768)
			page.reads("#strip", w.ready) // the language is the till's
			till.until("document.querySelectorAll('.ware').length > 0")

			c.scan("2000000125008")
			page.reads("#greeting", "Anna")
			page.reads("#balances", "40")
			till.reads("#who", "Anna")
			c.eventually("the display", c.display.Text, "Anna")

			for range 3 {
				till.press(kb.Tab) // to the shelf and back is no sale
			}
			till.click(".ware")
			till.click(".ware")
			till.click(".ware:nth-child(3)")
			page.until("document.querySelector('#net').innerText !== '–'")
			till.until("!document.getElementById('spendall').disabled")
			page.press(kb.F4)
			page.until("document.getElementById('spendall').getAttribute('aria-pressed') === 'true'")
			till.until("document.getElementById('spendall').getAttribute('aria-pressed') === 'true'")
			page.press(kb.F8)
			page.reads("#whynot", w.offer)
			page.shoot("real-" + lang + "-whynot")
			page.press(kb.F8)
			page.shoot("real-" + lang + "-page")
			till.shoot("real-" + lang + "-till")
			till.press(kb.F9)
			till.reads("#rstate", w.paid)
			page.reads("#rstate", w.paid)
			page.reads("#say", w.thanks)
			till.reads("#sliptext", w.slip)
			c.eventually("the printer", c.paper, w.slip, "Corner Club")
			till.until("document.getElementById('slipstate').innerText !== ''")
			page.shoot("real-" + lang + "-paid-page")
			till.shoot("real-" + lang + "-paid-till")

			till.click("#void")
			till.click("#void")
			till.reads("#rstate", w.voided)
			page.reads("#rstate", w.voided)
		})
	}
}

// What goes wrong in a shop, seen from the cashier's chair.
func TestRealTroubles(t *testing.T) {
	c := newCounter(t, "en")
	page := open(t, c.page(), 800, 600)
	till := open(t, c.page("--practice"), 800, 600)
	page.reads("#strip", "Ready.")
	till.until("document.querySelectorAll('.ware').length > 0")

	for card, says := range map[string]string{
		"2000000000022": "not activated yet", "2000000000039": "This card is blocked", "2999999999994": "does not know the card yet",
	} {
		c.scan(card)
		page.reads("#trouble", says)
		page.press(kb.Escape)
	}
	c.scan("2000000000053")
	page.reads("#greeting", "<img src=x onerror=document.title=1>")
	page.press(kb.Escape, "601 234 567", kb.F3)
	page.reads("#found", "Found: Anna")
	page.reads("#greeting", "Anna")

	// Out of paper, unplugged, plugged in again.
	for state, words := range map[string]string{`{"paper": "out"}`: "out of paper", `{"cover": "open"}`: "cover open"} {
		if err := c.printer.SetStateJSON([]byte(state)); err != nil {
			t.Fatal(err)
		}
		page.reads("#strip", "Printer: "+words)
		if err := c.printer.SetStateJSON([]byte(`{"paper": "ok", "cover": "closed"}`)); err != nil {
			t.Fatal(err)
		}
		page.reads("#strip", "Ready.")
	}
	c.cables["scanner"].Unplug()
	page.reads("#devices", "Scanner ! not connected")
	if err := c.cables["scanner"].Plug(); err != nil {
		t.Fatal(err)
	}
	page.reads("#strip", "Ready.")

	// Head office goes away: selling goes on.
	at := c.address("centre")
	kill(c.centre)
	page.reads("#strip", "No link to head office. Keep selling")
	page.press(kb.Escape)
	c.scan("2000000125008")
	page.reads("#greeting", "Anna")
	till.press("1008", kb.Enter, "1008", kb.Enter)
	till.reads("#net", "£25.98")
	page.reads("#earnlabel", "To be credited")
	page.reads("#spendtext", "No points can be used: no link to head office")
	page.shoot("real-offline-page")
	till.shoot("real-offline-till")
	till.press(kb.F9)
	till.reads("#rstate", "paid")
	page.reads("#say", "They will be credited soon.")
	c.startCentre(at)
	page.reads("#strip", "Ready.")

	// The agent dies under an open basket and comes back at its address.
	till.press(kb.Escape, "1005", kb.Enter)
	till.reads("#net", "£8.50")
	here := c.address("till")
	kill(c.agent)
	page.reads("#strip", "No answer from the till program.")
	till.reads("#strip", "No answer from the till program.")
	till.press(kb.F9)
	till.reads("#message", "No answer from the till program.")
	page.shoot("real-noagent-page")
	c.startAgent(here)
	page.reads("#devices", "Head office", "Scanner ✓ ready", "Printer ✓ ready")
	till.reads("#devices", "Head office")
	till.press(kb.F9)
	till.reads("#rstate", "paid")
	page.reads("#last", "Paid")
}

// TestPictures makes the two pictures of the docs, of a real sale:
//
//	go test ./agent/pages -run Pictures -args -out agent/docs/img
func TestPictures(t *testing.T) {
	if *out == "" {
		t.Skip("pictures are made on request: go test ./agent/pages -run Pictures -args -out DIR")
	}
	c := newCounter(t, "en")
	page := open(t, c.page(), 1280, 800)
	till := open(t, c.page("--practice"), 1280, 800)
	page.reads("#strip", "Ready.")
	till.until("document.querySelectorAll('.ware').length > 0")
	c.scan("2000000000077")
	till.reads("#who", "Maria")
	till.press("1008", kb.Enter, "1008", kb.Enter, "1005", kb.Enter, "1001", kb.Enter, "1003", kb.Enter, "1009", kb.Enter, "1010", kb.Enter)
	till.reads("#message", "7 items")
	page.reads("#spendtext", "Can use up to")
	page.reads("#goal", "more to Silver")
	page.press(kb.F6, "10", kb.Enter)
	till.reads("#spendtext", "Paying with 10 points")
	page.press(kb.F2)
	page.shoot("cashier")
	till.press(kb.F9)
	till.reads("#slipstate", "Printed.")
	till.shoot("practice")
}
