package configs

import (
	_ "embed"
	"net"
	"net/url"
	"strings"
	"time"
)

// CentralSample is the commented sample of the centre's settings.
//
//go:embed samples/central.toml
var CentralSample []byte

// Central is every setting of `tillside-central`. It needs none of them: a
// centre without a settings file serves from one folder.
type Central struct {
	// Version of this file's layout. Only 1 exists.
	Version int `toml:"version"`
	// Data is the folder of database and address file, absolute. Empty: the
	// system's place (/var/lib/tillside-central, %ProgramData%\Tillside Central;
	// for an ordinary user the folder for programs' data in the home).
	Data string `toml:"data"`
	// Listen is the address for tills and browsers; port 0 takes a free one,
	// which is then written to the file `address` in the data folder.
	Listen string `toml:"listen"`
	// URL is how tills reach the centre from outside (https://loyalty.example).
	// Empty: as the till that enrols has reached it.
	URL string `toml:"url"`
	// Hosts are the names browsers may use for the pages; empty: any.
	Hosts []string `toml:"hosts"`
	// Zone is the shops' time zone, by which days begin and points expire:
	// Europe/Warsaw. Empty: the machine's.
	Zone string `toml:"zone"`
	// SigningKey is the file of the key that signs rulebooks. Empty: keys/rulebook.key
	// in the data folder.
	SigningKey string     `toml:"signing_key"`
	TLS        CentralTLS `toml:"tls"`
	Log        CentralLog `toml:"log"`
}

// CentralLog is what the centre says to its standard error, which the service
// manager keeps and rotates.
type CentralLog struct {
	// Level is debug, info, warn or error.
	Level string `toml:"level"`
	// Format is text or json.
	Format string `toml:"format"`
}

// CentralTLS is how the listen address is protected.
type CentralTLS struct {
	// Mode is on or off. On: TLS 1.3 with Cert and Key, or, without them, by an
	// authority of the centre's own, made at the first start in the folder tls of
	// the data folder; tills then have certificates as well. Off: plain HTTP, for
	// this machine alone or behind a proxy that ends TLS and is named in url.
	Mode string `toml:"mode"`
	// Cert is a PEM file with the certificate and its chain.
	Cert string `toml:"cert"`
	// Key is a PEM file with the private key. Both or none.
	Key string `toml:"key"`
}

// DefaultCentral returns the settings of a centre without a settings file.
func DefaultCentral() Central {
	return Central{Version: 1, Listen: "127.0.0.1:8760", TLS: CentralTLS{Mode: "on"}, Log: CentralLog{Level: "info", Format: "text"}}
}

// LoadCentral reads and checks a settings file. The error is ErrNoFile when
// there is none, and Problems when something in it is wrong.
func LoadCentral(file string) (*Central, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	return ParseCentral(file, data)
}

// ParseCentral reads and checks settings from memory; file names them in
// problems.
func ParseCentral(file string, data []byte) (*Central, error) {
	c := DefaultCentral()
	d := decode(file, data, &c)
	c.check(d.add)
	if err := d.err(); err != nil {
		return nil, err
	}
	return &c, nil
}

// Check tells what is wrong with settings that were not read from a file.
func (c *Central) Check() error {
	d := &decoder{}
	c.check(d.add)
	return d.err()
}

func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

func (c *Central) check(bad func(field, found, remedy string)) {
	if c.Version != 1 {
		bad("version", show(int64(c.Version)), "want 1")
	}
	if c.Data != "" && !absolute(c.Data) {
		bad("data", show(c.Data), "want an absolute path: a service starts in a folder of its own")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen", show(c.Listen), "want address and port such as \"0.0.0.0:8760\"")
	}
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			bad("url", show(c.URL), "want an address such as \"https://loyalty.example\"")
		}
	}
	for _, h := range c.Hosts {
		if h == "" {
			bad("hosts", show(h), "want a host name")
		}
	}
	if c.Zone != "" {
		if _, err := time.LoadLocation(c.Zone); err != nil {
			bad("zone", show(c.Zone), "want a time zone such as \"Europe/Warsaw\"")
		}
	}
	if c.SigningKey != "" && !absolute(c.SigningKey) {
		bad("signing_key", show(c.SigningKey), "want an absolute path")
	}
	oneOf(bad, "tls.mode", c.TLS.Mode, []string{"on", "off"})
	if c.TLS.Mode == "off" && !strings.HasPrefix(c.URL, "https:") && !loopback(c.Listen) {
		bad("tls.mode", show(c.TLS.Mode), "want on beyond this machine, or url = \"https://…\" of the proxy that ends TLS")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		bad("tls", "", "cert and key are given together")
	}
	oneOf(bad, "log.level", c.Log.Level, []string{"debug", "info", "warn", "error"})
	oneOf(bad, "log.format", c.Log.Format, []string{"text", "json"})
}
