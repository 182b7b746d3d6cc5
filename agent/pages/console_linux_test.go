package pages

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var cents = regexp.MustCompile(`^(\d+)\.(\d\d)$`)

// The same sale as head office sees it: the centre's pages are read in the
// browser after a day at the counter, in each language, at the width of an
// old office screen. (It stands here because the counter does.)
func TestConsoleAfterASale(t *testing.T) {
	c := newCounter(t, "en")
	till := open(t, c.page("--practice"), 1024, 768)
	till.until("document.querySelectorAll('.ware').length > 0")
	till.reads("#strip", "Ready.")
	sell := func(card, net string, spend bool, goods ...string) {
		if card != "" {
			c.scan(card)
			till.until("document.getElementById('who').className === 'who known'")
		}
		for _, g := range goods {
			till.press(g, kb.Enter)
		}
		till.reads("#net", net)
		if spend {
			till.reads("#spendtext", "Can use up to")
			till.press(kb.F6, "10", kb.Enter)
			till.reads("#spendtext", "Paying with 10 points")
		}
		till.press(kb.F9)
		till.reads("#rstate", "paid")
	}
	sell("2000000000077", "£45.52", true, "1008", "1008", "1005", "1001", "1003", "1010")
	number := strings.TrimPrefix(till.text("#baskettitle"), "Receipt ")
	till.press(kb.Escape)
	till.reads("#basket", "Pick goods")
	sell("2000000125008", "£49.77", false, "1008", "1008", "1008", "1007", "1007")
	voided := strings.TrimPrefix(till.text("#baskettitle"), "Receipt ")
	till.click("#void")
	till.reads("#void", "Really void?")
	till.click("#void")
	till.reads("#rstate", "cancelled")
	till.press(kb.Escape)
	sell("", "£1.90", false, "1012", "1012")
	if err := c.printer.SetStateJSON([]byte(`{"paper": "out"}`)); err != nil {
		t.Fatal(err)
	}
	c.central("till", "add", "--store", "7", "--till", "3")

	_, password, _ := strings.Cut(c.central("access", "reset", "admin"), "password ")
	b := open(t, "https://"+c.address("centre")+"/?lang=en", 1024, 768)
	b.reads("h1", "Log in")
	b.shoot("console-login")
	b.do(chromedp.Focus(chromedp.CSS("[name=password]")))
	b.press(strings.Fields(password)[0], kb.Enter)
	b.reads("h1", "Tills")
	visit := func(name, path string, parts ...string) {
		t.Helper()
		for _, lang := range Languages {
			sep := "?"
			if strings.Contains(path, "?") {
				sep = "&"
			}
			b.do(chromedp.Navigate("https://" + c.address("centre") + path + sep + "lang=" + lang))
			want := slices.Clone(parts)
			for i, p := range want {
				if lang != "en" { // a comma before the cents
					want[i] = cents.ReplaceAllString(p, "$1,$2")
				}
			}
			b.reads("main", want...)
			if b.eval("document.documentElement.scrollWidth > innerWidth") == "true" {
				t.Errorf("%s %s is wider than the screen", name, lang)
			}
			b.shoot("console-" + name + "-" + lang)
		}
	}
	c.eventually("the page of tills", func() string {
		b.do(chromedp.Reload())
		return b.text("main")
	}, "printer: ")
	visit("tills", "/tills", "7", "printer")
	b.do(chromedp.Navigate("https://" + c.address("centre") + "/tills?lang=en"))
	till7 := b.eval("document.querySelector('main td a').getAttribute('href')")
	visit("till", till7, "7 / 2")
	visit("members", "/members", "Maria", "Anna", "<img src=x onerror=document.title=1>")
	visit("receipts", "/receipts", number)
	b.do(chromedp.Navigate("https://" + c.address("centre") + "/receipts?number=" + number + "&lang=en"))
	visit("receipt", b.eval("document.querySelector('main td a').getAttribute('href')"), number, "Cigarettes", "0.26", "10.00")
	b.do(chromedp.Navigate("https://" + c.address("centre") + "/receipts?lang=en"))
	for receipt, state := range map[string]string{number: "closed", voided: "voided"} {
		if got := b.eval("[].slice.call(document.querySelectorAll('main tr')).filter(function (r) { return r.innerText.indexOf('" + receipt + "') >= 0; })[0].lastElementChild.innerText"); got != state {
			t.Errorf("head office sees receipt %s as %q, want %q", receipt, got, state)
		}
	}
	b.do(chromedp.Navigate("https://" + c.address("centre") + "/members?q=2000000000077&lang=en"))
	visit("member", b.eval("document.querySelector('main td a').getAttribute('href')"), "Maria", "128.90")
	visit("rulebooks", "/rulebooks", "grocer")
	visit("rulebook", "/rulebooks/1", "dairy-week")
	visit("attention", "/attention")
	visit("error", "/members/0000000000000000")
}
