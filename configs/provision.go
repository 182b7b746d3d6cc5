package configs

import (
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// ProvisionFile is the name a provision file has, wherever it lies.
const ProvisionFile = "tillside-provision.toml"

// ProvisionSample is the commented sample of a provision file.
//
//go:embed samples/provision.toml
var ProvisionSample []byte

// Provision is what an installation without a person is told: one file for
// one till or for a whole chain.
type Provision struct {
	// Version of this file's layout. Only 1 exists.
	Version int `toml:"version"`
	// Server is the address of the centre.
	Server string `toml:"server"`
	// Language, PhonePrefix and CAFile are written into the till's settings
	// when there are none yet. CAFile may be the name of a file beside this one.
	Language    string `toml:"language"`
	PhonePrefix string `toml:"phone_prefix"`
	CAFile      string `toml:"ca_file"`
	// FindDevices are the ports to ask for devices; "all" is every port.
	FindDevices []string `toml:"find_devices"`
	// Tills of the file, one block each.
	Tills []ProvisionTill `toml:"tills"`
	// Devices that every till of this file has.
	Devices []Device `toml:"devices"`
}

// ProvisionTill is one till of a provision file.
type ProvisionTill struct {
	// Till is "store/till" as at the centre. Empty: as the code says.
	Till string `toml:"till"`
	// Machine is the machine's name, without domain; case does not matter.
	Machine string `toml:"machine"`
	// Code is the one-time code of the enrolment.
	Code Code `toml:"code"`
}

// Code is a one-time code: it shows itself to nobody, not even in a problem.
type Code string

// UnmarshalText takes anything; the centre decides what is a code.
func (c *Code) UnmarshalText(b []byte) error { *c = Code(b); return nil }

// String hides the code.
func (c Code) String() string {
	if c == "" {
		return ""
	}
	return "(a code)"
}

// LogValue implements slog.LogValuer.
func (c Code) LogValue() slog.Value { return slog.StringValue(c.String()) }

// LoadProvision reads and checks a provision file. The error is ErrNoFile when
// there is none, and Problems when something in it is wrong. Problems show no
// code.
func LoadProvision(file string) (*Provision, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	return ParseProvision(file, data)
}

// ParseProvision reads and checks a provision file from memory.
func ParseProvision(file string, data []byte) (*Provision, error) {
	p := Provision{Version: 1, Language: "en"}
	d := decode(file, data, &p)
	p.check(d.add)
	if err := d.err(); err != nil {
		return nil, err
	}
	return &p, nil
}

func (p *Provision) check(bad func(field, found, remedy string)) {
	if p.Version != 1 {
		bad("version", fmt.Sprint(p.Version), "this program knows version 1")
	}
	if u, err := url.Parse(p.Server); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		bad("server", show(p.Server), "want the centre's address such as \"https://loyalty.example.com\"")
	}
	till := Agent{Version: 1, Language: p.Language, PhonePrefix: p.PhonePrefix, Devices: p.Devices}
	oneOf(bad, "language", p.Language, Languages)
	if len(p.PhonePrefix) > 3 || strings.Trim(p.PhonePrefix, "0123456789") != "" {
		bad("phone_prefix", show(p.PhonePrefix), "want a country code of 1 to 3 digits such as \"48\"")
	}
	till.checkDevices(bad)
	if len(p.Tills) == 0 {
		bad("tills", "", "want a block [[tills]] with a code")
	}
	names, machines := map[string]int{}, map[string]int{}
	for i, t := range p.Tills {
		at := fmt.Sprintf("tills[%d]", i)
		if t.Code == "" {
			bad(at+".code", "", "want the one-time code from the centre")
		}
		if store, name, ok := strings.Cut(t.Till, "/"); t.Till != "" && (!ok || store == "" || name == "" || strings.Contains(name, "/")) {
			bad(at+".till", show(t.Till), "want store and till such as \"warsaw/1\"")
		}
		if k, ok := names[t.Till]; ok && t.Till != "" {
			bad(at+".till", show(t.Till), fmt.Sprintf("tills[%d] is this till already", k))
		}
		m := strings.ToLower(t.Machine)
		if k, ok := machines[m]; ok && m != "" {
			bad(at+".machine", show(t.Machine), fmt.Sprintf("tills[%d] is for this machine already", k))
		}
		names[t.Till], machines[m] = i, i
	}
}

// ErrNoTill is returned by Till when no block is for this machine.
var ErrNoTill = errors.New("the provision file has no block for this machine")

// Till chooses the block of a machine: by the till it was told to be, else by
// its name, else the only block there is when that names no machine.
func (p *Provision) Till(want, machine string) (ProvisionTill, error) {
	machine, _, _ = strings.Cut(machine, ".")
	for _, t := range p.Tills {
		if want != "" && t.Till == want {
			return t, nil
		}
	}
	if want == "" {
		for _, t := range p.Tills {
			if name, _, _ := strings.Cut(t.Machine, "."); name != "" && strings.EqualFold(name, machine) {
				return t, nil
			}
		}
	}
	if len(p.Tills) == 1 && p.Tills[0].Machine == "" && (want == "" || p.Tills[0].Till == "") {
		return p.Tills[0], nil
	}
	if want != "" {
		return ProvisionTill{}, fmt.Errorf("%w: none of its %d is till %q", ErrNoTill, len(p.Tills), want)
	}
	return ProvisionTill{}, fmt.Errorf("%w: none of its %d names machine %q", ErrNoTill, len(p.Tills), machine)
}
