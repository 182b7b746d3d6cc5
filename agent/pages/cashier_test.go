package pages

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"github.com/tillside/tillside/drivers"
)

// The half minute at the till, in each language, with the keyboard alone:
// nothing in this test touches the mouse.
func TestCashierByKeyboardInThreeLanguages(t *testing.T) {
	type says struct{ wait, ready, greeting, balance, earns, upto, using, paid, thanks string }
	for lang, w := range map[string]says{
		"en": {"Scan a card", "Ready. Everything is connected.", "Hello, Anna!", "1,240.50 points", "Points to earn +34",
			"up to 1,240.50 points", "Paying with 150 points = €1.50", "paid", "You have just earned 32 points."},
		"ru": {"Сканируйте карту", "Готово. Всё подключено.", "Здравствуйте, Anna!", "1240,50 балла", "Будет баллов +34",
			"до 1240,50 балла", "Списываем 150 баллов = 1,50 €", "оплачен", "Вам начислено 32 балла."},
		"pl": {"Zeskanuj kartę", "Gotowe. Wszystko podłączone.", "Dzień dobry, Anna!", "1240,50 punktu", "Punkty za zakup +34",
			"do 1240,50 punktu", "Płacimy punktami: 150 punktów = 1,50 €", "zapłacony", "Doliczono 32 punkty."},
	} {
		t.Run(lang, func(t *testing.T) {
			s := newStage(t)
			b := open(t, s.url("cashier"), 1024, 768)
			b.reads("#strip", "Ready")
			for n := 0; b.eval("document.activeElement.getAttribute('data-lang')") != lang; n++ {
				if n > 30 {
					t.Fatal("the language buttons cannot be reached with Tab")
				}
				b.press(kb.Tab)
			}
			b.press(kb.Enter)
			b.reads("#strip", w.ready)
			b.reads("#greeting", w.wait)

			b.press(kb.F2)
			if f := b.focus(); f != "number" {
				t.Fatalf("F2 leads to %q", f)
			}
			b.press("2000000125008", kb.Enter)
			b.reads("#greeting", w.greeting)
			b.reads("#standing", "Gold")
			b.reads("#balances", w.balance)
			b.reads("#say", "Green tea earns you double points")

			s.basket("R-17", "m-anna", "1001", "1002", "2003", "2002")
			b.reads(".sums", w.earns)
			b.reads("#why", "Gold members get 5 % off", "One point for every whole euro.")
			b.reads("#spendtext", w.upto)
			b.press(kb.F6, "150", kb.F6)
			b.reads("#spendtext", w.using)
			b.press(kb.F7)
			b.reads("#spendtext", w.upto)
			b.press(kb.F6, "150", kb.Enter)
			b.reads("#spendtext", w.using)
			s.state("R-17", "held")
			s.state("R-17", "captured")
			b.reads("#rstate", w.paid)
			b.reads("#say", w.thanks)
			b.press(kb.Escape)
			b.reads("#greeting", w.wait)
		})
	}
}

func TestCashierSpendButtons(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("cashier"), 800, 600)
	s2 := open(t, s.url("cashier"), 1280, 800) // a second tab sees the same
	b.reads("#strip", "Ready")
	s2.reads("#strip", "Ready")
	s.scan("2000000125008")
	s.basket("R-1", "m-anna", "2003", "9001")
	b.reads("#spendtext", "up to 370 points = €3.70")
	b.click("#spendall")
	b.reads("#spendtext", "Paying with 370 points")
	b.reads("#why", "Paid with 370 points", "−€3.70")
	s2.reads("#spendtext", "Paying with 370 points")
	b.until("document.getElementById('spendall').getAttribute('aria-pressed') === 'true'")
	b.click("#amount")
	b.press("371")
	b.click("#spendsome")
	b.reads("#spendtext", "At most 370 points on this receipt.")
	s2.click("#spendnone")
	b.reads("#spendtext", "up to 370 points")
	b.reads("#last", "Card read: Anna")
}

func TestCashierCardsInTrouble(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("cashier"), 1024, 768)
	b.reads("#strip", "Ready")
	for _, c := range []struct{ card, trouble, spend string }{
		{"2000000000022", "not activated yet", "the card does not allow it"},
		{"2000000000039", "This card is blocked", "the card does not allow it"},
		{"2000000000046", "reported lost", "the card does not allow it"},
		{"2999999999999", "earns points all the same", "not known here yet"},
	} {
		s.scan(c.card)
		b.reads("#trouble", c.trouble)
		s.basket("R-"+c.card, "u", "1001")
		b.reads("#spendtext", "No points can be used", c.spend)
	}
	s.scan("2000000125008")
	b.reads("#greeting", "Anna")
	b.until("document.getElementById('trouble').hidden")
}

func TestCashierForgottenCard(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("cashier"), 1024, 768)
	b.reads("#strip", "Ready")
	b.press(kb.Enter)
	b.reads("#found", "Type a number first.")
	b.press("+48601234567", kb.Enter) // a plus means a phone
	b.reads("#found", "Found: Anna")
	b.press(kb.Escape)
	b.reads("#greeting", "Scan a card")
	b.press("601", kb.F3)
	b.reads("#found", "Not known here yet")
}

// News of an earlier receipt do not push the open one away.
func TestCashierLateNews(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("cashier"), 1024, 768)
	b.reads("#strip", "Ready")
	s.link("offline")
	s.scan("2000000125008")
	s.basket("R-1", "m-anna", "1001")
	s.state("R-1", "captured")
	b.reads("#say", "They will be credited soon.")
	s.tell(map[string]any{"type": "receipt", "receipt": "R-1", "state": "captured", "slip": "printed"})
	s.basket("R-2", "m-anna", "2003")
	b.reads("#rtitle", "R-2")
	s.tell(map[string]any{"type": "receipt", "receipt": "R-1", "state": "captured", "slip": "not_printed"})
	b.reads("#last", "Slip of R-1 was not printed")
	b.reads("#rtitle", "R-2")
	b.reads("#net", "€7.41")
	b.reads("#earnlabel", "To be credited")
}

// A member's name, a rule's sentence and a device's words are text whatever
// they hold.
func TestNothingBecomesMarkup(t *testing.T) {
	s := newStage(t)
	for _, page := range []string{"cashier", "practice"} {
		b := open(t, s.url(page), 1024, 768)
		b.reads("#strip", "Ready")
		s.set(func() { s.devices[0].Detail = "<img src=x onerror=1>" })
		s.device("scanner", "<i>broken</i>")
		s.scan("2000000000053")
		if page == "cashier" {
			b.reads("#greeting", `<img src=x onerror="document.title='owned'">`)
			b.reads("#say", "<script>")
			b.reads("#prompts", "<a href=javascript:")
		} else {
			b.reads("#who", `<img src=x onerror="document.title='owned'">`)
		}
		if n := b.eval("document.querySelectorAll('#work img[src=x], #work script, #work a, .chips i').length"); n != "0" {
			t.Errorf("%s: %s foreign elements", page, n)
		}
		if strings.Contains(b.eval("document.title"), "owned") {
			t.Errorf("%s: a name ran as a script", page)
		}
		s.device("scanner", "ok")
	}
}

// The content policy stops a script even if one got into the page.
func TestPolicyStopsInlineScript(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("cashier"), 800, 600)
	b.reads("#strip", "Ready")
	got := b.eval(`(function () { try { document.body.innerHTML = '<p>x</p>'; return 'taken'; } catch (e) { return 'refused'; } })()`)
	if got != "refused" {
		t.Errorf("markup from text was %s", got)
	}
	b.mu.Lock()
	b.faults = nil // the browser complains of exactly this
	b.mu.Unlock()
}

func TestToken(t *testing.T) {
	s := newStage(t)
	b := open(t, s.server.URL+"/cashier", 1024, 768)
	b.reads("#token", "This page needs its key", "It was opened without one.", "tillside page")
	b.until("document.getElementById('work').hidden")

	b = open(t, s.url("cashier"), 1024, 768)
	b.reads("#strip", "Ready")
	if at := b.eval("location.href"); strings.Contains(at, "token") {
		t.Errorf("the token stays in the address: %s", at)
	}
	b.do(chromedp.Reload())
	b.reads("#strip", "Ready")
	if got := b.eval("localStorage.length + '/' + document.cookie"); got != "0/" {
		t.Errorf("something is left outside the tab: %s", got)
	}

	s.set(func() { s.token = "another" })
	s.cut()
	b.reads("#token", "The key it has is no longer accepted.")
}

func TestLinkAndDevices(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("cashier"), 1024, 768)
	b.reads("#devices", "Head office ✓ online", "Scanner ✓ ready", "Printer ✓ ready", "Display ✓ ready")
	s.device("printer", "paper_out")
	b.reads("#devices", "Printer ! out of paper")
	b.reads("#strip", "Printer: out of paper.")
	b.reads("#last", "Printer: out of paper")
	s.link("offline")
	b.reads("#strip", "No link to head office. Keep selling")
	s.scan("2000000125008")
	s.basket("R-1", "m-anna", "1001")
	b.reads("#earnlabel", "To be credited")
	b.reads("#spendtext", "No points can be used: no link to head office")
	s.device("printer", "ok")
	s.link("online")
	b.reads("#strip", "Ready")
	b.reads("#last", "Link to head office is back")
}

// The agent is restarted under the page: it says so at once, tries again by
// itself and is back without anybody touching it.
func TestAgentGoesAndComesBack(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("cashier"), 1024, 768)
	b.reads("#strip", "Ready")
	s.scan("2000000125008")
	b.reads("#greeting", "Anna")
	s.set(func() { s.slow = 300 * time.Millisecond })
	s.cut()
	b.reads("#strip", "No answer from the till program. Sell as usual")
	b.reads("#greeting", "Anna") // who stands there is not forgotten
	s.set(func() { s.slow = 0; s.devices[1].State = "cover_open" })
	b.reads("#strip", "Printer: cover open.")
}

func TestSlowAnswers(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("cashier"), 1024, 768)
	b.reads("#strip", "Ready")
	s.set(func() { s.slow = 700 * time.Millisecond })
	b.press("2000000125008", kb.Enter)
	b.reads("#found", "Looking")
	b.reads("#found", "Found: Anna")
}

// No state of the page pushes anything off the screen or makes boxes jump.
func TestCashierFitsEveryScreen(t *testing.T) {
	s := newStage(t)
	for _, size := range [][2]int64{{800, 600}, {1024, 768}, {1920, 1080}} {
		for _, lang := range Languages {
			b := open(t, s.url("cashier"), size[0], size[1])
			b.reads("#strip", "Ready")
			b.eval("Tillside.setLang('" + lang + "', false)")
			boxes := func() string {
				return b.eval(`['.top','#strip','.customer','.receipt','.sums','#spend','#saybox','#find','.last'].map(function (q) {
					var r = document.querySelector(q).getBoundingClientRect();
					return q + ':' + [Math.round(r.left), Math.round(r.top), Math.round(r.width), Math.round(r.height)].join(','); }).join(' ')`)
			}
			empty := boxes()
			s.scan("2000000125008")
			s.basket("R-"+lang+strconv.FormatInt(size[0], 10), "m-anna", "1001", "1002", "2003")
			b.until("document.querySelectorAll('#why .gain').length > 0")
			if full := boxes(); full != empty {
				t.Errorf("%v %s: boxes jumped\n  %s\n  %s", size, lang, empty, full)
			}
			for _, out := range []string{"document.documentElement.scrollWidth > innerWidth", "document.documentElement.scrollHeight > innerHeight"} {
				if b.eval(out) == "true" {
					t.Errorf("%v %s: %s", size, lang, out)
				}
			}
			for _, text := range []string{"strip.offline", "strip.noagent", "strip.connecting"} {
				if b.eval("Tillside.put(document.getElementById('strip'), Tillside.t('"+text+"')).scrollWidth > document.getElementById('strip').clientWidth") == "true" {
					t.Errorf("%v %s: %s does not fit", size, lang, text)
				}
			}
			if out := b.eval(`[].slice.call(document.querySelectorAll('button, .spend p, .sums dd, .sums dt, label')).filter(function (e) {
				var r = e.getBoundingClientRect();
				return e.offsetParent && (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 || r.right > innerWidth || r.bottom > innerHeight);
			}).map(function (e) { return e.id || e.className || e.innerText; }).join(' | ')`); out != "" {
				t.Errorf("%v %s: does not fit: %s", size, lang, out)
			}
		}
	}
}

// The scripts' plural rules are those of the Unicode CLDR.
func TestPluralRules(t *testing.T) {
	s := newStage(t)
	b := open(t, s.url("cashier"), 800, 600)
	b.until("!!window.Tillside && !!Tillside.plural")
	names := map[plural.Form]string{plural.Other: "other", plural.One: "one", plural.Few: "few", plural.Many: "many"}
	for _, lang := range Languages {
		got := strings.Fields(b.eval(`(function () { var out = []; for (var i = 0; i < 1200; i++) { out.push(Tillside.plural('` + lang + `', i + '.00')); } return out.join(' '); })()`))
		for i, g := range got {
			want := names[plural.Cardinal.MatchPlural(language.MustParse(lang), i, 0, 0, 0, 0)]
			if g != want {
				t.Errorf("%s %d: %s, want %s", lang, i, g, want)
			}
		}
		if g := b.eval("Tillside.plural('" + lang + "', '1.5')"); g != "other" {
			t.Errorf("%s 1.5: %s", lang, g)
		}
	}
	for script, want := range map[string]string{
		"Tillside.lang = 'en', Tillside.number('1234567.50')":                                                      "1,234,567.50",
		"Tillside.lang = 'pl', Tillside.number('1234567.50')":                                                      "1\u00a0234\u00a0567,50",
		"Tillside.lang = 'pl', Tillside.number('1234.00', 2)":                                                      "1234,00",
		"Tillside.lang = 'en', Tillside.money('-2.50', 'EUR')":                                                     "−€2.50",
		"Tillside.lang = 'ru', Tillside.money('-2.50', 'RUB')":                                                     "−2,50\u00a0₽",
		"Tillside.lang = 'pl', Tillside.number('92233720368547758.07')":                                            "92\u00a0233\u00a0720\u00a0368\u00a0547\u00a0758,07",
		"Tillside.typed('1 250,5') + ' ' + Tillside.typed('1.234') + Tillside.typed('-1') + Tillside.typed('1e3')": "1250.5 ",
		"Tillside.decimal(Tillside.hundredths('-0.05'))":                                                           "-0.05",
	} {
		if got := b.eval("(" + script + ")"); got != want {
			t.Errorf("%s = %q, want %q", script, got, want)
		}
	}
}

// The pages take a device for as good or bad as the drivers do.
func TestDeviceWords(t *testing.T) {
	english, err := catalogue("en")
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	b := open(t, s.url("cashier"), 800, 600)
	b.until("!!window.Tillside && !!Tillside.deviceWord")
	severity := map[drivers.Severity]string{drivers.Fine: "ok", drivers.Warning: "warn", drivers.Fault: "bad"}
	for key := range english {
		code, ok := strings.CutPrefix(key, "device.state.")
		if !ok || code == "ok" {
			continue
		}
		if got, want := b.eval("Tillside.deviceWord({state: '"+code+"'}).cls"), severity[drivers.Code(code).Severity()]; got != want {
			t.Errorf("%s is shown as %q, want %q", code, got, want)
		}
	}
	if got := b.eval("Tillside.deviceWord({state: 'ready'}).cls"); got != "ok" {
		t.Errorf("ready is shown as %q", got)
	}
}
