package pages

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// Whatever can be used has a name that a screen reader can say, in every
// language, and shows where the keyboard is.
func TestEveryControlHasANameAndAFocus(t *testing.T) {
	s := newStage(t)
	for _, page := range []string{"cashier", "practice"} {
		b := open(t, s.url(page), 1024, 768)
		b.reads("#strip", "Ready")
		s.scan("2000000125008")
		if page == "practice" {
			b.until("document.querySelectorAll('.ware').length > 0")
			b.press("1001", kb.Enter)
		} else {
			s.basket("R-1", "m-anna", "1001")
		}
		b.reads("#spendtext", "up to")
		for _, lang := range Languages {
			b.eval("Tillside.setLang('" + lang + "', false)")
			if bad := b.eval(`[].slice.call(document.querySelectorAll('a, button, input, [tabindex]')).filter(function (e) {
				var label = e.id && document.querySelector('label[for=' + e.id + ']'), by = document.getElementById(e.getAttribute('aria-labelledby'));
				var name = e.getAttribute('aria-label') || by && by.textContent || label && label.textContent || e.tagName !== 'INPUT' && e.textContent;
				return !name || !name.trim();
			}).map(function (e) { return e.outerHTML; }).join(' | ')`); bad != "" {
				t.Errorf("%s %s: without a name: %s", page, lang, bad)
			}
			if bad := b.eval(`[].slice.call(document.querySelectorAll('*')).filter(function (e) {
				return !e.firstElementChild && e.tagName !== 'SCRIPT' && /^[a-z]+(\.[a-z]+)+$/.test(e.textContent);
			}).map(function (e) { return e.textContent; }).join(' | ')`); bad != "" {
				t.Errorf("%s %s: a word is missing: %s", page, lang, bad)
			}
		}
		seen := map[string]bool{}
		for range 60 {
			b.press(kb.Tab)
			at := b.eval("(function () { var e = document.activeElement; return e === document.body ? '' : (e.id || e.className || e.textContent) + (parseFloat(getComputedStyle(e).outlineWidth) >= 2 ? '' : ' without a ring'); })()")
			if at == "" {
				continue
			}
			seen[at] = true
		}
		want := map[string][]string{
			"cashier":  {"number", "findcard", "findphone", "next", "spendall", "amount", "spendsome", "spendnone", "whykey", "whybox", "customer", "EN", "RU", "PL"},
			"practice": {"article", "add", "ware", "card", "findcard", "findphone", "step", "spendall", "amount", "spendsome", "spendnone", "pay", "new", "other", "EN"},
		}[page]
		for _, w := range want {
			if !seen[w] {
				t.Errorf("%s: Tab never comes to %q with a visible ring; it came to %v", page, w, seen)
			}
		}
	}
}
