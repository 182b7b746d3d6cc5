package configs

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestCentralSampleIsTheDefault(t *testing.T) {
	var lines []string
	for l := range strings.Lines(string(CentralSample)) {
		if rest, ok := strings.CutPrefix(l, "#"); ok && !strings.HasPrefix(rest, " ") && strings.Contains(rest, "=") {
			l = rest
		}
		lines = append(lines, l)
	}
	got, err := ParseCentral("sample", []byte(strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	got.Hosts = nil // [] in the file, nil in the default
	if want := DefaultCentral(); !reflect.DeepEqual(*got, want) {
		t.Errorf("sample with its values uncommented:\n%+v\nDefaultCentral:\n%+v", *got, want)
	}
	for name := range tomlNames(reflect.TypeFor[Central]()) {
		if !strings.Contains(string(CentralSample), name) {
			t.Errorf("setting %q is missing in the sample", name)
		}
	}
	if _, err := ParseCentral("sample", CentralSample); err != nil {
		t.Errorf("the sample as it stands: %v", err)
	}
}

func TestCentralProblemsAllAtOnce(t *testing.T) {
	_, err := ParseCentral("c.toml", []byte("version = 2\nlisten = \"nowhere\"\nzone = \"Mars/Base\"\nurl = \"ftp://x\"\ncolour = 1\n[tls]\ncert = \"c.pem\"\n"))
	var p Problems
	if !errors.As(err, &p) {
		t.Fatal(err)
	}
	for _, field := range []string{"version", "listen", "zone", "url", "colour", "tls"} {
		found := false
		for _, x := range p {
			found = found || x.Field == field
		}
		if !found {
			t.Errorf("no problem of %s in:\n%v", field, err)
		}
	}
}
