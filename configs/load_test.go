package configs

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestSampleIsTheDefault(t *testing.T) {
	var lines []string
	for l := range strings.Lines(string(AgentSample)) {
		if rest, ok := strings.CutPrefix(l, "#"); ok && !strings.HasPrefix(rest, " ") && strings.Contains(rest, "=") {
			l = rest
		}
		lines = append(lines, l)
	}
	got, err := ParseAgent("sample", []byte(strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultAgent()
	got.API.Origins, got.API.Users, got.Store.Peers, got.Slip.Header, got.Display.Idle = nil, nil, nil, nil, nil // [] in the file, nil in the default
	got.Files.CSV.Columns, got.Files.CSV.Fields, got.Files.XML.Fields, got.Files.Words = nil, nil, nil, nil
	pt := &got.Passthrough
	pt.Options, pt.Ends, pt.Tenders, pt.Patterns = nil, nil, nil, want.Passthrough.Patterns
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("sample with its values uncommented:\n%+v\nDefaultAgent:\n%+v", *got, want)
	}
	// Every declared setting stands in the sample.
	for name := range tomlNames(reflect.TypeFor[Agent]()) {
		if !strings.Contains(string(AgentSample), name) {
			t.Errorf("setting %q is missing in the sample", name)
		}
	}
	if _, err := ParseAgent("sample", AgentSample); err != nil {
		t.Errorf("the sample as it stands: %v", err)
	}
}

func tomlNames(t reflect.Type) map[string]bool {
	names := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		names[f.Tag.Get("toml")] = true
		ft := f.Type
		if ft.Kind() == reflect.Slice {
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct {
			for n := range tomlNames(ft) {
				names[n] = true
			}
		}
	}
	return names
}

func TestDefaultIsGood(t *testing.T) {
	a := DefaultAgent()
	if err := a.Check(); err != nil {
		t.Error(err)
	}
}

func TestSampleDevicesAreReadable(t *testing.T) {
	s := string(AgentSample)
	s = s[strings.Index(s, "# [[devices]]"):]
	var lines []string
	for l := range strings.Lines(s) {
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(l, "#"), " "))
	}
	a, err := ParseAgent("devices", []byte("version = 1\n"+strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Devices) != 2 || a.Devices[1].Line.Baud != 38400 || a.Devices[1].Options["columns"] != "42" {
		t.Errorf("devices: %+v", a.Devices)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	const file = `version = 2
languge = "en"
language = "de"

[api]
listen = "0.0.0.0:8750"
max_body = "big"
origins = ["http://a/", "*"]

[centre]
budget = "soon"

[[devices]]
name = "a"
driver = "barcode"
port = "COM1"

[[devices]]
name = "a"
port = "COM1"
[devices.line]
parity = 8
[devices.options]
columns = 42
`
	_, err := ParseAgent("till.toml", []byte(file))
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("err = %v", err)
	}
	want := []string{
		`till.toml:1: version: found 2; this program knows version 1`,
		`till.toml:2: languge: unknown setting; did you mean "language"?`,
		`till.toml:3: language: found "de"; want en, ru or pl`,
		`till.toml:6: api.listen: found "0.0.0.0:8750"; want a loopback address: 127.0.0.1, [::1] or localhost`,
		`till.toml:7: api.max_body: found "big"; want a whole number`,
		`till.toml:8: api.origins[0]: found "http://a/"; want an exact origin such as "http://localhost:3000"`,
		`till.toml:8: api.origins[1]: found "*"; want an exact origin such as "http://localhost:3000"`,
		`till.toml:11: centre.budget: found "soon"; want a length of time such as "20s" or "1h30m"`,
		`till.toml:18: devices[1].model: name a model (tillside devices models) or a driver`,
		`till.toml:19: devices[1].name: found "a"; devices[0] has this name already`,
		`till.toml:20: devices[1].port: found "COM1"; devices[0] is on this port already`,
		`till.toml:22: devices[1].line.parity: found 8; want text in quotes`,
	}
	if got := ps.Error(); got != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestNoFileIsToldApart(t *testing.T) {
	_, err := LoadAgent(filepath.Join(t.TempDir(), "none.toml"))
	if !errors.Is(err, ErrNoFile) {
		t.Errorf("err = %v, want ErrNoFile", err)
	}
	_, err = ParseAgent("x.toml", []byte("version = 1\nlanguage = \n"))
	if errors.Is(err, ErrNoFile) || err == nil || !strings.Contains(err.Error(), "x.toml:2") {
		t.Errorf("bad syntax: %v", err)
	}
}

func FuzzParseAgent(f *testing.F) {
	f.Add(AgentSample)
	f.Add([]byte("[[devices]]\n[devices.options]\na.b=1\n[[devices]]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, err := ParseAgent("f", data); err == nil && a.Check() != nil {
			t.Error("read without a problem, then found bad")
		}
	})
}
