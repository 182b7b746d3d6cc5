package pages

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
)

func get(t *testing.T, method, url, host string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, url, nil)
	if host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestHandler(t *testing.T) {
	for _, c := range []struct {
		method, url string
		status      int
		kind        string
	}{
		{"GET", "/", 302, ""},
		{"GET", "/cashier", 200, "text/html; charset=utf-8"},
		{"HEAD", "/cashier/", 200, "text/html; charset=utf-8"},
		{"GET", "/practice", 200, "text/html; charset=utf-8"},
		{"GET", "/pages/core.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/pages/words.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/pages/tillside.css", 200, "text/css; charset=utf-8"},
		{"GET", "/pages/icon.svg", 200, "image/svg+xml"},
		{"GET", "/pages/", 404, ""},
		{"GET", "/pages/pages.go", 404, ""},
		{"GET", "/pages/../pages.go", 404, ""},
		{"GET", "/catalogue/en.json", 404, ""},
		{"POST", "/cashier", 405, ""},
		{"DELETE", "/pages/core.js", 405, ""},
	} {
		r := get(t, c.method, c.url, "127.0.0.1:8750")
		if r.StatusCode != c.status || c.kind != "" && r.Header.Get("Content-Type") != c.kind {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.url, r.StatusCode, r.Header.Get("Content-Type"), c.status, c.kind)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(r.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s %s: the safety headers are missing", c.method, c.url)
		}
		if r.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s %s sets a cookie", c.method, c.url)
		}
	}
}

func TestUnchangedPageIsNotSentAgain(t *testing.T) {
	tag := get(t, "GET", "/cashier", "").Header.Get("ETag")
	r := httptest.NewRequest("GET", "/cashier", nil)
	r.Header.Set("If-None-Match", tag)
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	if tag == "" || w.Code != http.StatusNotModified {
		t.Fatalf("ETag %q, status %d; want 304", tag, w.Code)
	}
}

func TestPolicyTakesNoStrangeHost(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:8750": true, "localhost:1": true, "[::1]:8750": true,
		"": false, "a; script-src *": false, "x\r\ny": false, "a,b": false, strings.Repeat("a", 300): false,
	} {
		if got := strings.Contains(policy(host), "ws://"); got != want {
			t.Errorf("host %q in the policy: %v, want %v", host, got, want)
		}
	}
}

// The pages stand under a policy without inline scripts and styles, and must
// run in browsers of 2014: what breaks either is found here and not at a till.
func TestFilesKeepTheRules(t *testing.T) {
	rules := map[string][]string{
		".html": {`<script>`, `<style`, ` style=`, ` onclick=`, ` onload=`, `http://`, `https://`, `javascript:`},
		".js": {`=>`, "`", `\blet `, `\bconst `, `\bclass `, `\bfetch\(`, `\basync `, `\.\.\.[a-z]`, `innerHTML`, `outerHTML`, `insertAdjacent`,
			`document\.write`, `\beval\(`, `new Function`, `console\.`, `localStorage.*[tT]oken`, `\bfor \(var \w+ of`, `\.includes\(`, `\.padStart\(`, `Object\.assign`},
		".css": {`var\(--`, `display: ?grid`, `[^-]gap:`, `@import`, `url\(`, `:is\(`, `clamp\(`, `outline: ?(none|0)`},
	}
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		for ext, bad := range rules {
			if !strings.HasSuffix(name, ext) {
				continue
			}
			for _, b := range bad {
				if at := regexp.MustCompile(b).FindIndex(body); at != nil {
					t.Errorf("%s:%d: %q is not for these pages", name, 1+strings.Count(string(body[:at[0]]), "\n"), body[at[0]:at[1]])
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var blank = regexp.MustCompile(`\{\w+\}`)

// forms gives the texts of one word by plural category ("" for a plain text).
func forms(t *testing.T, lang, key string, raw json.RawMessage) map[string]string {
	t.Helper()
	var plain string
	if json.Unmarshal(raw, &plain) == nil {
		return map[string]string{"": plain}
	}
	var m map[string]string
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("%s %q: %v", lang, key, err)
	}
	return m
}

func TestCatalogues(t *testing.T) {
	want := map[string][]string{
		"en": {"one", "other"},
		"ru": {"few", "many", "one", "other"},
		"pl": {"few", "many", "one", "other"},
	}
	english, err := catalogue("en")
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range Languages {
		w, err := catalogue(lang)
		if err != nil {
			t.Fatal(err)
		}
		for key := range w {
			if _, ok := english[key]; !ok {
				t.Errorf("%s has %q, English has not", lang, key)
			}
		}
		for key, raw := range english {
			if w[key] == nil {
				t.Errorf("%s lacks %q", lang, key)
				continue
			}
			here, there := forms(t, lang, key, w[key]), forms(t, "en", key, raw)
			_, plainHere := here[""]
			_, plainThere := there[""]
			if plainHere != plainThere {
				t.Errorf("%s %q: plural in one language only", lang, key)
				continue
			}
			if !plainHere {
				var got []string
				for category := range here {
					got = append(got, category)
				}
				sort.Strings(got)
				if !slices.Equal(got, want[lang]) {
					t.Errorf("%s %q has forms %v, want %v", lang, key, got, want[lang])
				}
			}
			for category, text := range here {
				if strings.TrimSpace(text) == "" {
					t.Errorf("%s %q %s is empty", lang, key, category)
				}
				ref := there[category]
				if ref == "" {
					ref = there["other"]
				}
				if a, b := blanks(text), blanks(ref); !slices.Equal(a, b) {
					t.Errorf("%s %q %s has blanks %v, English %v", lang, key, category, a, b)
				}
			}
		}
	}
}

func blanks(text string) []string {
	b := blank.FindAllString(text, -1)
	sort.Strings(b)
	return slices.Compact(b)
}

// Every word the pages ask for is in the catalogue, and every word of the
// catalogue is asked for.
func TestWordsAreUsed(t *testing.T) {
	english, err := catalogue("en")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	err = fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(name)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text := all.String()
	asked := regexp.MustCompile(`(?:data-t(?:-label|-hint)?="|data-title="|\bT\.t\('|key: '|note\('|\? ')([a-z]+(?:\.[a-z]+)+)['"]`)
	for _, m := range asked.FindAllStringSubmatch(text, -1) {
		if _, ok := english[m[1]]; !ok {
			t.Errorf("the pages ask for %q, which no catalogue has", m[1])
		}
	}
	made := []string{"device.", "card.", "trouble.", "state.", "reason.", "coupon.", "say.", "practice.slip."} // keys put together in the scripts
	for key := range english {
		if strings.Contains(text, "'"+key+"'") || strings.Contains(text, `"`+key+`"`) {
			continue
		}
		if !slices.ContainsFunc(made, func(p string) bool { return strings.HasPrefix(key, p) }) {
			t.Errorf("no page asks for %q", key)
		}
	}
}
