package central_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/wire"
)

// browser is one that keeps cookies and follows redirects, like a person's.
type browser struct {
	t      *testing.T
	base   string
	client *http.Client
	lang   string
}

func (r *rig) browser(lang string) *browser {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return &browser{r.t, r.s.URL(), &http.Client{Jar: jar}, lang}
}

func (b *browser) do(method, path string, form url.Values, header ...string) (int, string) {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Accept-Language", b.lang)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// get reads a page and fails when it is not one.
func (b *browser) get(path string) string {
	b.t.Helper()
	code, text := b.do("GET", path, nil)
	if code != http.StatusOK || !strings.Contains(text, "</html>") {
		b.t.Fatalf("%s: %d\n%s", path, code, text)
	}
	return text
}

func (b *browser) login(password string) (int, string) {
	b.t.Helper()
	return b.do("POST", "/login", url.Values{"name": {"admin"}, "password": {password}, "next": {"/members"}})
}

var csrf = regexp.MustCompile(`name="csrf" value="([A-Z2-7]+)"`)

func secret(t *testing.T, page string) string {
	t.Helper()
	m := csrf.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no form secret in\n%s", page)
	}
	return m[1]
}

func TestPagesNeedALogin(t *testing.T) {
	r := start(t)
	b := r.browser("en")
	for _, p := range []string{"/", "/tills", "/members", "/receipts", "/rulebooks", "/attention", "/members/0000000000000001", "/tills/dev-0000000000"} {
		if text := b.get(p); !strings.Contains(text, `type="password"`) {
			t.Errorf("%s is shown without a login", p)
		}
	}
	if code, text := b.do("POST", "/tills", url.Values{"store": {"s"}, "till": {"1"}}); code != http.StatusForbidden || strings.Contains(text, "class=\"code\"") {
		t.Errorf("a form without a login: %d", code)
	}
	if code, _ := b.login("wrong password"); code != http.StatusForbidden {
		t.Errorf("a wrong password: %d", code)
	}
	if code, text := b.login(r.s.Password); code != http.StatusOK || !strings.Contains(text, "Members") {
		t.Errorf("the right one: %d", code)
	}
	page := b.get("/tills")
	if code, _ := b.do("POST", "/tills", url.Values{"store": {"s"}, "till": {"1"}}); code != http.StatusForbidden {
		t.Errorf("a form without its secret: %d", code)
	}
	form := url.Values{"csrf": {secret(t, page)}, "store": {"s1"}, "till": {"1"}}
	if code, _ := b.do("POST", "/tills", form, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); code != http.StatusForbidden {
		t.Errorf("a form of another site: %d", code)
	}
	code, text := b.do("POST", "/tills", form)
	if code != http.StatusOK || !regexp.MustCompile(`<p class="code">[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}</p>`).MatchString(text) {
		t.Errorf("the form: %d\n%s", code, text)
	}
	if code, _ := b.do("POST", "/logout", url.Values{"csrf": {secret(t, page)}}); code != http.StatusOK {
		t.Errorf("logout: %d", code)
	}
	if !strings.Contains(b.get("/tills"), `type="password"`) {
		t.Error("logged out and still in")
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	r := start(t)
	b := r.browser("en")
	for range 5 {
		b.login("guess")
	}
	if code, text := b.login(r.s.Password); code != http.StatusForbidden || !strings.Contains(text, "minute") {
		t.Errorf("the sixth try within a minute: %d", code)
	}
}

func TestCookieAndHeaders(t *testing.T) {
	r := start(t)
	b := r.browser("en")
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, _ := http.NewRequestWithContext(t.Context(), "POST", b.base+"/login", strings.NewReader(url.Values{"name": {"admin"}, "password": {r.s.Password}, "next": {"//evil.example/x"}}.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if to := resp.Header.Get("Location"); to != "/tills" {
		t.Errorf("the login leads to %q", to)
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || len(c.Value) < 40 {
		t.Errorf("cookie %+v", c)
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("policy %q", csp)
	}
}

// Head office reads what happened: the receipt with its allocation, the
// member's journal with reasons, in three languages.
func TestPagesTellTheStory(t *testing.T) {
	r := start(t)
	id := r.member("4000555566667777")
	r.publish(t)
	x := r.till("warsaw-1", "3")
	ref := wire.CardRef(x.answer.LookupKey, wire.KindCard, "4000555566667777")
	sale := x.sale(t, "A-1", id, ref, 2000, 0, "")
	x.drained(t)
	h, err := x.s.AskHold(t.Context(), wire.AskHold{Hold: "h1", Member: id.String(), CardRef: ref, Wallet: "points", Points: "3.00", Receipt: "A-2"})
	if err != nil || !h.Granted {
		t.Fatal(h, err)
	}
	x.sale(t, "A-2", id, ref, 10, 300, "h1")
	x.log(t, wire.TypeReturn, "A-1", wire.Return{Original: "A-1", Reverses: &sale, Member: id.String(), Moves: []wire.Move{{Wallet: "points", Points: "5.00", Back: "earned"}}})
	x.log(t, wire.TypeDeviceFault, "", wire.DeviceFault{Device: "printer", State: "paper_out", Detail: "roll"})
	x.log(t, "TELEPORT", "", map[string]string{"x": "<script>alert(1)</script>"})
	x.drained(t)
	words := map[string]map[string][]string{
		"en": {"/tills": {"out of paper", "warsaw-1", "a device needs help"}, "/members": {"Ada", "4000555566667777"}, "member": {"Paid with 3.00 points", "20.00 points for a purchase", "Rule base", "warsaw-1 / 3", "12.10"}, "receipt": {"Tea", "100.00", "+20.00", "partly returned", "Half a point for every full 20.00: 20 points"}, "/attention": {"TELEPORT"}, "/rulebooks": {"grocer"}},
		"ru": {"/tills": {"нет бумаги"}, "member": {"Оплачено баллами: 3,00", "Начислено 20,00"}, "receipt": {"Итого", "частичный возврат"}, "/attention": {"Требует внимания"}},
		"pl": {"/tills": {"brak papieru"}, "member": {"Zapłacono 3,00 pkt", "20,00 pkt za zakup"}, "receipt": {"Razem"}, "/attention": {"Wymaga uwagi"}},
	}
	var receipt int64
	r.read(func(tx *db.Tx) error {
		all, err := ledger.MemberReceipts(tx, id, 10)
		for _, x := range all {
			if x.Number == "A-1" && x.Kind == "sale" {
				receipt = x.ID
			}
		}
		return err
	})
	for lang, pages := range words {
		b := r.browser(lang)
		b.login(r.s.Password)
		for page, wants := range pages {
			path := page
			switch page {
			case "member":
				path = "/members/" + id.String()
			case "receipt":
				path = fmt.Sprintf("/receipts/%d", receipt)
			}
			text := b.get(path)
			if !strings.Contains(text, `<html lang="`+lang+`"`) {
				t.Errorf("%s in %s is in another language", path, lang)
			}
			for _, w := range wants {
				if !strings.Contains(text, w) {
					t.Errorf("%s in %s lacks %q:\n%s", path, lang, w, text)
				}
			}
			if strings.Contains(text, "<script") {
				t.Errorf("%s carries a script", path)
			}
		}
	}
	b := r.browser("en")
	b.login(r.s.Password)
	for _, q := range []string{"4000 5555 6666 7777", "ada", id.String()} {
		if text := b.get("/members?q=" + url.QueryEscape(q)); !strings.Contains(text, "/members/"+id.String()) {
			t.Errorf("search for %q finds nobody", q)
		}
	}
	for _, p := range []string{"/tills/" + x.id, "/receipts?number=A-1", "/receipts?store=warsaw-1&till=3", "/rulebooks/1"} {
		b.get(p)
	}
	for _, p := range []string{"/members/zz", "/members/0000000000000009", "/receipts/99999", "/receipts/x", "/rulebooks/7", "/tills/dev-nothing000"} {
		if code, _ := b.do("GET", p, nil); code != http.StatusNotFound {
			t.Errorf("%s: %d", p, code)
		}
	}
	// A card is blocked with one button, and the till hears of it.
	page := b.get("/members/" + id.String())
	if code, _ := b.do("POST", "/members/"+id.String()+"/card", url.Values{"csrf": {secret(t, page)}, "ref": {ref.String()}, "do": {"block"}}); code != http.StatusOK {
		t.Errorf("block: %d", code)
	}
	until(t, "the stop-list is at the till", func() bool { n, _ := x.Items(wire.LaneUrgent); return len(n) == 1 })
	if code, _ := b.do("POST", "/members/"+loyalty.MemberID(1).String()+"/card", url.Values{"csrf": {secret(t, page)}, "ref": {ref.String()}, "do": {"free"}}); code != http.StatusNotFound {
		t.Errorf("another member's card: %d", code)
	}
}

func TestEnrolmentOverHTTP(t *testing.T) {
	r := start(t)
	b := r.browser("en")
	post := func(body string, header ...string) (int, string) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", b.base+wire.EnrolPath, strings.NewReader(body))
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := b.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	if code, text := post(`{"code":"0000-0000-0000","public_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`); code != http.StatusForbidden || !strings.Contains(text, `"code_unknown"`) {
		t.Errorf("%d %s", code, text)
	}
	if code, text := post(`{`); code != http.StatusBadRequest || !strings.Contains(text, `"malformed"`) {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := post(`{}`, "Origin", "https://evil.example"); code != http.StatusForbidden {
		t.Errorf("a web page: %d", code)
	}
	if code, _ := post(`{"code":"` + strings.Repeat("A", 20000) + `"}`); code != http.StatusBadRequest {
		t.Errorf("a huge request: %d", code)
	}
	for range 5 {
		post(`{"code":"0000-0000-0000","public_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`)
	}
	if code, _ := post(`{}`); code != http.StatusTooManyRequests {
		t.Errorf("after many wrong codes: %d", code)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	r := start(t)
	r.member("4000")
	b := r.browser("en")
	if code, text := b.do("GET", "/healthz", nil); code != http.StatusOK || text != "ok\n" {
		t.Errorf("%d %q", code, text)
	}
	code, text := b.do("GET", "/metrics", nil)
	for _, w := range []string{"tillside_central_members 1\n", "tillside_central_tills_online 0\n", "# TYPE tillside_central_parked_records gauge\n"} {
		if code != http.StatusOK || !strings.Contains(text, w) {
			t.Errorf("metrics lack %q:\n%s", w, text)
		}
	}
}
