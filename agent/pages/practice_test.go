package pages

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// A whole sale at the practice till with the mouse, the card held before the
// scanner.
func TestPracticeSale(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("practice"), 1024, 768)
	b.reads("#goods", "Coffee beans 1 kg", "€18.90", "1001")
	b.click("[data-sku='1001']")
	b.click("[data-sku='2003']")
	b.click("[data-sku='2003']")
	b.reads("#basket", "1 + Coffee beans 1 kg 18.90", "2 + Enamel mug 15.60")
	b.reads("#net", "€34.50")
	s.scan("2000000125008")
	b.reads("#who", "Anna · Gold · 1,240.50 points as of")
	b.reads("#why", "Gold members get 5 % off", "−€1.72", "One point for every whole euro.")
	b.reads("#discount", "−€1.72")
	b.reads("#basket", "18.90 17.96")
	b.click("#basket [data-step='-1'][data-sku='2003']")
	b.reads("#message", "2 items, to pay €25.37")
	b.click("#spendall")
	b.reads("#spendtext", "Paying with 1,240.50 points = €12.40")
	b.reads("#redeemed", "−€12.40")
	b.click("#pay")
	b.reads("#rstate", "paid")
	b.reads("#message", "Paid and safely stored.")
	b.reads("#sliptext", "Anna, thank you!", "120 more to Platinum")
	b.reads("#slipstate", "Printed.")
	if b.eval("document.getElementById('pay').hidden") != "true" {
		t.Error("a paid receipt can be paid again")
	}
	b.click("#void")
	b.reads("#void", "Really void?")
	b.click("#void")
	b.reads("#rstate", "cancelled")
	b.click("#new")
	b.reads("#basket", "Pick goods, scan a card, pay.")
	b.reads("#who", "No card")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, want := range []string{"/authorise", "/capture", "/void"} {
		if n := len(slices.DeleteFunc(slices.Clone(s.calls), func(c string) bool { return !strings.HasSuffix(c, want) })); n != 1 {
			t.Errorf("%d calls of %s, want 1", n, want)
		}
	}
}

func TestPracticeByKeyboard(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("practice"), 800, 600)
	b.until("document.querySelectorAll('.ware').length > 0")
	if f := b.focus(); f != "article" {
		t.Fatalf("the page begins at %q", f)
	}
	b.press("tea", kb.Enter) // the first that fits
	b.reads("#basket", "Green tea")
	b.press("9001", kb.Enter)
	b.press("nothing like it", kb.Enter)
	b.reads("#message", "No such goods.")
	b.press(kb.Delete)
	for range len("nothing like it") {
		b.press(kb.Backspace)
	}
	b.press(kb.Tab, kb.Tab) // over the button to the shelf
	b.press(kb.ArrowRight, kb.ArrowDown, kb.Enter)
	b.reads("#basket", "Apples 1 kg")
	b.press(kb.F2, "2000000125008", kb.Enter)
	b.reads("#who", "Anna")
	b.reads("#spendtext", "up to")
	b.press(kb.F6, "100", kb.Enter)
	b.reads("#spendtext", "Paying with 100 points = €1.00")
	b.press(kb.F9)
	b.reads("#rstate", "paid")
	b.press(kb.Escape)
	b.reads("#basket", "Pick goods")
}

// An answer lost on its way back must not sell twice: the same key is sent
// again.
func TestPracticeLostAnswers(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("practice"), 1024, 768)
	b.until("document.querySelectorAll('.ware').length > 0")
	b.press("1001", kb.Enter)
	b.reads("#net", "€18.90")
	s.set(func() { s.lose = "/authorise" })
	b.press(kb.F9)
	b.reads("#message", "No answer from the till program.")
	s.set(func() { s.lose = "/capture" })
	b.press(kb.F9)
	b.reads("#rstate", "in payment")
	b.reads("#message", "No answer from the till program.")
	b.press(kb.F9)
	b.reads("#rstate", "paid")
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := map[string]int{}
	for _, call := range s.keys {
		if strings.HasSuffix(call, "/authorise") || strings.HasSuffix(call, "/capture") {
			keys[call]++
		}
	}
	for call, n := range keys {
		if n != 1 {
			t.Errorf("%s went out under %d keys", call, n)
		}
	}
	if len(keys) != 2 {
		t.Errorf("calls %v", keys)
	}
}

// A payment on its way cannot be left by the key for the next receipt.
func TestPracticeEscapeWhilePaying(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("practice"), 1024, 768)
	b.until("document.querySelectorAll('.ware').length > 0")
	b.press("1001", kb.Enter)
	b.reads("#net", "€18.90")
	s.set(func() { s.slow = 500 * time.Millisecond })
	b.press(kb.F9)
	for range 8 {
		b.press(kb.Escape)
	}
	b.reads("#rstate", "paid")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range s.calls {
		if strings.HasSuffix(call, "/void") {
			t.Error("the sale was voided under way")
		}
	}
}

// The cashier's page and the practice till side by side: the basket belongs
// to one, the choice of points to the other.
func TestPracticeBesideCashier(t *testing.T) {
	s := newStage(t)
	till := open(t, s.url("practice"), 1024, 768)
	page := open(t, s.url("cashier"), 1024, 768)
	till.until("document.querySelectorAll('.ware').length > 0")
	page.reads("#strip", "Ready")
	s.scan("2000000125008")
	till.press("1001", kb.Enter, "2003", kb.Enter)
	page.reads("#net", "€25.37")
	page.press(kb.F4)
	till.reads("#spendtext", "Paying with 1,240.50 points")
	till.reads("#net", "€12.97")
	page.press(kb.F7)
	till.reads("#net", "€25.37")
	page.press(kb.F8)
	page.reads("#whynot", "Happy morning: not at this time", "3.40 more for a free mug")
	till.press(kb.F9)
	page.reads("#rstate", "paid")
	page.reads("#say", "You have just earned 25 points.")
	page.reads("#last", "Paid, 25 points earned")
}

func TestPracticeOfflineAndOff(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("practice"), 1024, 768)
	b.until("document.querySelectorAll('.ware').length > 0")
	s.link("offline")
	b.reads("#strip", "No link to head office. Keep selling")
	s.scan("2000000125008")
	b.press("1001", kb.Enter)
	b.reads("#earnlabel", "To be credited")
	b.reads("#spendtext", "No points can be used: no link to head office")
	b.press(kb.F9)
	b.reads("#rstate", "paid")
	s.set(func() { s.goods = nil })
	c := open(t, s.url("practice"), 1024, 768)
	c.reads("#off", "The practice till is off here", "practice mode is switched on")
}

func TestPracticeFitsEveryScreen(t *testing.T) {
	s := newStage(t)
	for _, size := range [][2]int64{{800, 600}, {1024, 768}, {1920, 1080}} {
		for _, lang := range Languages {
			b := open(t, s.url("practice"), size[0], size[1])
			b.until("document.querySelectorAll('.ware').length > 0")
			b.eval("Tillside.setLang('" + lang + "', false)")
			b.press("1001", kb.Enter, "1002", kb.Enter, "2003", kb.Enter)
			s.scan("2000000125008")
			b.until("document.querySelectorAll('#why .gain').length > 1")
			if b.eval("document.documentElement.scrollWidth > innerWidth || document.documentElement.scrollHeight > innerHeight") == "true" {
				t.Errorf("%v %s: the page is larger than the screen", size, lang)
			}
			if out := b.eval(`[].slice.call(document.querySelectorAll('.till button, .goods form button, .totals dt, .totals dd')).filter(function (e) {
				var r = e.getBoundingClientRect();
				return e.offsetParent && (e.scrollWidth > e.clientWidth + 1 || r.right > innerWidth || r.bottom > innerHeight);
			}).map(function (e) { return e.id || e.innerText; }).join(' | ')`); out != "" {
				t.Errorf("%v %s: does not fit: %s", size, lang, out)
			}
		}
	}
}
