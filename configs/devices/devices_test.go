package devices

import (
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func TestFilesAreInOrder(t *testing.T) {
	ms, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(ms) < 35 {
		t.Errorf("only %d models", len(ms))
	}
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	usb := regexp.MustCompile(`^[0-9a-f]{4}(:[0-9a-f]{4})?$`)
	for _, m := range ms {
		if !name.MatchString(m.Name) {
			t.Errorf("%s: a model name is small letters, digits and hyphens", m.Name)
		}
		for _, u := range m.USB {
			if !usb.MatchString(u) {
				t.Errorf("%s: usb %q is neither vid:pid nor vid", m.Name, u)
			}
		}
		for _, q := range m.Quirks {
			if !strings.HasSuffix(q, ".") {
				t.Errorf("%s: a quirk is a sentence: %q", m.Name, q)
			}
		}
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	for what, text := range map[string]string{
		"unknown key": "maker='a'\nproducts=['b']\ndriver='escpos'\nsource='s'\ncolour=3",
		"no driver":   "maker='a'\nproducts=['b']\nsource='s'",
		"no source":   "maker='a'\nproducts=['b']\ndriver='escpos'",
		"bad line":    "maker='a'\nproducts=['b']\ndriver='escpos'\nsource='s'\n[line]\nparity='some'",
		"not toml":    "maker",
	} {
		if _, err := Read(fstest.MapFS{"x.toml": {Data: []byte(text)}}); err == nil || !strings.Contains(err.Error(), "x.toml") {
			t.Errorf("%s: got %v", what, err)
		}
	}
}
