package pages

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take for anything; only a broken page needs
// it all.
const patience = time.Minute

var browser struct {
	sync.Once
	ctx  context.Context
	err  error
	stop []func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if *out != "" {
		if err := index(*out); err != nil {
			fmt.Fprintln(os.Stderr, "gallery:", err)
			code = 1
		}
	}
	for i := len(browser.stop) - 1; i >= 0; i-- {
		browser.stop[i]()
	}
	os.Exit(code)
}

// chromium starts the browser once for all tests, or skips the test where
// there is none.
func chromium(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("browser tests are left out by -short")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no chromium on this machine; `apt-get install chromium fonts-dejavu-core` makes this test run")
	}
	browser.Do(func() {
		dir, err := os.MkdirTemp("", "pages-browser-")
		if err != nil {
			browser.err = err
			return
		}
		opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.WSURLReadTimeout(2*time.Minute), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
			chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("ignore-certificate-errors", true), // the centre's authority is its own
			chromedp.Flag("lang", "en-US"))
		actx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
		ctx, cancel := chromedp.NewContext(actx)
		browser.stop = []func(){func() { os.RemoveAll(dir) }, stop, cancel, func() { chromedp.Cancel(ctx) }}
		browser.ctx, browser.err = ctx, chromedp.Do(ctx)
	})
	if browser.err != nil {
		t.Fatalf("start %s: %v", path, browser.err)
	}
	return browser.ctx
}

// tab is one tab of the browser, as somebody sits before it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string // what the browser complained of
}

// open opens a page in a tab of its own, with its own storage. Every script
// error and every breach of the content policy fails the test.
func open(t *testing.T, url string, width, height int64) *tab {
	t.Helper()
	b := &tab{t: t}
	ctx, cancel := chromedp.NewContext(chromium(t), chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	b.ctx = ctx
	t.Cleanup(func() {
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, f := range b.faults {
			t.Errorf("the browser complains: %s", f)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(url))
	return b
}

// hear notes what the browser complains of.
func (b *tab) hear(ev any) {
	fault := ""
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		fault = e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			fault += " " + x.Description
		}
	case *log.EventEntryAdded:
		// A lost connection is a state the pages show; the browser also notes it.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork && !strings.Contains(e.Entry.Text, "WebSocket connection to") {
			fault = e.Entry.Text
		}
	}
	if fault != "" {
		b.mu.Lock()
		b.faults = append(b.faults, fault)
		b.mu.Unlock()
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// text is what a person reads in the element.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return strings.Join(strings.Fields(b.eval(fmt.Sprintf("(document.querySelector(%q) || {innerText: '(no such element)'}).innerText", selector))), " ")
}

// eval runs a script and gives its value as text.
func (b *tab) eval(script string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+script+")"))
	if err != nil {
		b.t.Fatalf("browser: %s: %v", script, err)
	}
	return v
}

// reads waits until the element reads as wanted.
func (b *tab) reads(selector string, parts ...string) {
	b.t.Helper()
	end := time.Now().Add(patience)
	for {
		got := b.text(selector)
		missing := ""
		for _, p := range parts {
			if !strings.Contains(got, p) {
				missing = p
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s does not say %q; it says %q", selector, missing, got)
		}
		time.Sleep(20 * time.Millisecond) // between looks, not for a result
	}
}

// until waits until the script is true.
func (b *tab) until(script string) {
	b.t.Helper()
	end := time.Now().Add(patience)
	for b.eval(script) != "true" {
		if time.Now().After(end) {
			b.t.Fatalf("never true: %s", script)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// press presses keys one after another; a text is typed.
func (b *tab) press(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.do(chromedp.KeyEvent(k))
	}
}

// click clicks with the mouse.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// focus is the id of the element that has the keyboard.
func (b *tab) focus() string {
	b.t.Helper()
	return b.eval("document.activeElement && document.activeElement.id")
}
