package console

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
)

func words(t *testing.T, lang string) map[string]string {
	t.Helper()
	raw, err := files.ReadFile("lang/" + lang + ".json")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

var verb = regexp.MustCompile(`%[sd]`)

// Every language has every text, with the same places to fill in.
func TestLanguagesBelongTogether(t *testing.T) {
	en := words(t, "en")
	for _, l := range Languages[1:] {
		other := words(t, l)
		for k, text := range en {
			o, ok := other[k]
			if !ok || o == "" {
				t.Errorf("%s lacks %q", l, k)
			}
			if a, b := verb.FindAllString(text, -1), verb.FindAllString(o, -1); !slices.Equal(a, b) {
				t.Errorf("%s %q fills in %v, English %v", l, k, b, a)
			}
		}
		for k := range other {
			if _, ok := en[k]; !ok {
				t.Errorf("%s has %q, English has not", l, k)
			}
		}
	}
}

// Every text a page asks for exists.
func TestPagesUseKnownWords(t *testing.T) {
	en := words(t, "en")
	asks := regexp.MustCompile(`\{\{[^}]*?\bt "([^"]+)"`)
	all, err := files.ReadDir("pages")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range all {
		raw, err := files.ReadFile("pages/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range asks.FindAllStringSubmatch(string(raw), -1) {
			seen++
			if _, ok := en[m[1]]; !ok {
				t.Errorf("%s asks for %q", f.Name(), m[1])
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d texts found: the search is broken", seen)
	}
}

func TestNextStaysHere(t *testing.T) {
	for in, want := range map[string]string{"": "/tills", "/members?q=a": "/members?q=a", "//evil.example": "/tills", "https://evil.example": "/tills", "/\\evil.example": "/tills", "/a\r\nb": "/tills"} {
		if got := next(in); got != want {
			t.Errorf("next(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[string][3]string{
		"1234.50": {"1,234.50", "1234,50", "1234,50"}, "-12345.00": {"−12,345.00", "−12\u00a0345,00", "−12\u00a0345,00"},
		"0.5": {"0.5", "0,5", "0,5"}, "7": {"7", "7", "7"}, "1234567": {"1,234,567", "1\u00a0234\u00a0567", "1\u00a0234\u00a0567"},
		"": {"", "", ""}, "a.b": {"a.b", "a.b", "a.b"}, "2000000125008x": {"2000000125008x", "2000000125008x", "2000000125008x"},
	} {
		for i, lang := range []string{"en", "ru", "pl"} {
			if got := number(lang, in); got != want[i] {
				t.Errorf("%s %q: %q, want %q", lang, in, got, want[i])
			}
		}
	}
}
