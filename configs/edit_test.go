package configs

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestSetTextKeepsTheRest(t *testing.T) {
	for _, c := range []struct{ name, doc, key, value, want string }{
		{"comment becomes value", "version = 1\n# Of the slips.\n#language = \"en\"\n[api]\n", "language", "pl", "version = 1\n# Of the slips.\nlanguage = \"pl\"\n[api]\n"},
		{"value is replaced", "language = \"en\" \n#language = \"ru\"\n", "language", "pl", "language = \"pl\"\n#language = \"ru\"\n"},
		{"in its own table", "#ca_file = \"\"\n[centre]\n#ca_file = \"\"\n", "centre.ca_file", "/a", "#ca_file = \"\"\n[centre]\nca_file = \"/a\"\n"},
		{"new in its table", "version = 1\n[centre]\n#budget = \"1s\"\n\n# Prose.\n[slip]\n", "centre.url", "ws://x", "version = 1\n[centre]\n#budget = \"1s\"\nurl = \"ws://x\"\n\n# Prose.\n[slip]\n"},
		{"new table", "version = 1\n", "centre.url", "ws://x", "version = 1\n\n[centre]\nurl = \"ws://x\"\n"},
		{"prose is left", "# language = \"xx\" is wrong\nversion = 1\n", "language", "pl", "# language = \"xx\" is wrong\nversion = 1\nlanguage = \"pl\"\n"},
	} {
		if got := string(SetText([]byte(c.doc), c.key, c.value)); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// TestEditedSampleIsRead: what edits make of the sample is what the program
// then reads.
func TestEditedSampleIsRead(t *testing.T) {
	doc := AgentSample
	hard := "a \"b\" \\ \n\t€ \x7f"
	for _, e := range [][2]string{{"language", "ru"}, {"phone_prefix", "7"}, {"centre.ca_file", "/etc/ca.pem"}, {"log.file", `C:\x\y.log`}, {"log.level", "warn"}} {
		doc = SetText(doc, e[0], e[1])
	}
	devices := []Device{
		{Name: hard, Model: "generic-scanner", Port: "/dev/ttyACM0"},
		{Name: "printer", Driver: "escpos", Port: "COM3", Line: DeviceLine{Baud: 9600, Parity: "even", DataBits: 7, StopBits: 2}, Options: map[string]string{"columns": "42", "odd key": "x"}},
	}
	for range 2 { // the second time replaces the first
		doc = SetDevices(doc, devices)
	}
	a, err := ParseAgent("till.toml", doc)
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	if a.Language != "ru" || a.PhonePrefix != "7" || a.Centre.CAFile != "/etc/ca.pem" || a.Log.File != `C:\x\y.log` || a.Log.Level != "warn" {
		t.Errorf("%+v", a)
	}
	if !reflect.DeepEqual(a.Devices, devices) {
		t.Errorf("devices %+v", a.Devices)
	}
	if n := strings.Count(string(doc), "#") - strings.Count(string(AgentSample), "#"); n != -5 {
		t.Errorf("%d comment signs gone, want 5", -n)
	}
}

func TestProvisionChoosesTheTill(t *testing.T) {
	p, err := ParseProvision(ProvisionFile, ProvisionSample)
	if err != nil {
		t.Fatal(err)
	}
	one := &Provision{Tills: []ProvisionTill{{Code: "any"}}}
	for _, c := range []struct {
		p                       *Provision
		want, machine, till, no string
	}{
		{p, "", "pos-waw-02", "warsaw/2", ""},
		{p, "", "POS-WAW-02.shop.example", "warsaw/2", ""},
		{p, "warsaw/1", "POS-WAW-02", "warsaw/1", ""},
		{p, "", "laptop", "", "laptop"},
		{p, "", "", "", "names machine"},
		{p, "warsaw/9", "POS-WAW-02", "", "warsaw/9"},
		{one, "", "anything", "", ""},
		{one, "warsaw/9", "anything", "", ""},
	} {
		got, err := c.p.Till(c.want, c.machine)
		if c.no == "" && (err != nil || got.Till != c.till) {
			t.Errorf("%+v: %+v %v", c, got, err)
		}
		if c.no != "" && (!errors.Is(err, ErrNoTill) || !strings.Contains(err.Error(), c.no)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestProvisionTellsAllProblems, and no code in any of them.
func TestProvisionTellsAllProblems(t *testing.T) {
	_, err := ParseProvision("p.toml", []byte(`version = 2
server = "loyalty"
langauge = "pl"
[[tills]]
till = "warsaw"
machine = "A"
code = "SECRET"
[[tills]]
till = "x/1"
machine = "a"
[[devices]]
name = "p"
port = "COM1"
`))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 7 {
		t.Fatalf("%d problems: %v", len(problems), err)
	}
	for _, want := range []string{"version", "server", "did you mean \"language\"", "tills[0].till", "tills[1].code", "tills[1].machine", "devices[0].model"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "SECRET") {
		t.Errorf("a code is shown: %v", err)
	}
	for _, code := range []string{"7255", "7255-9", "[7255]", "{x = 7255}", "\"7255\" 7255"} {
		p, err := ParseProvision("p.toml", []byte("version = 1\nserver = \"https://x\"\n[[tills]]\ncode = "+code+"\n"))
		if strings.Contains(fmt.Sprint(p, err), "7255") {
			t.Errorf("code = %s is shown: %+v %v", code, p, err)
		}
	}
	if _, err := LoadProvision("no-such-file"); !errors.Is(err, ErrNoFile) {
		t.Error(err)
	}
}

func FuzzEdit(f *testing.F) {
	f.Add(string(AgentSample), "centre.url", "x")
	f.Add("[centre]\n", "language", "pl\n")
	f.Fuzz(func(t *testing.T, doc, key, value string) {
		before, err := ParseAgent("f", []byte(doc))
		if err != nil || len(key) > 50 {
			return
		}
		_ = SetText([]byte(doc), key, value)
		again, err := ParseAgent("f", SetDevices([]byte(doc), before.Devices))
		if err == nil && len(before.Devices) > 0 && !reflect.DeepEqual(before.Devices[0].Name, again.Devices[0].Name) && before.Devices[0].Name == strings.ToValidUTF8(before.Devices[0].Name, "") {
			t.Errorf("device %q became %q", before.Devices[0].Name, again.Devices[0].Name)
		}
	})
}

func FuzzProvision(f *testing.F) {
	f.Add(ProvisionSample)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProvision("f", data)
		if err == nil {
			_, _ = p.Till("", "x")
		}
	})
}
