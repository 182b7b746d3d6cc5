package authority_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/central/authority"
)

// TestMadeOnceWhoeverIsFirst: programs that start together end with one
// authority, and so does one that was cut between key and certificate.
func TestMadeOnceWhoeverIsFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	var all [8][]byte
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			a, err := authority.Open(dir, nil, time.Now)
			if err != nil {
				t.Error(err)
				return
			}
			all[i] = a.DER()
		})
	}
	wg.Wait()
	for _, der := range all {
		if !bytes.Equal(der, all[0]) {
			t.Fatal("two authorities")
		}
	}
	if err := os.Remove(filepath.Join(dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	a, err := authority.Open(dir, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Server(); err != nil {
		t.Fatal(err)
	}
	if list, err := filepath.Glob(filepath.Join(dir, "*new*")); err != nil || len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := authority.Open(dir, nil, time.Now); err == nil {
		t.Error("an authority without its key is replaced by another")
	}
}

// TestServerCertificateFollowsNamesAndTime: made anew when due or when a name is
// missing, kept otherwise.
func TestServerCertificateFollowsNamesAndTime(t *testing.T) {
	now := time.Now()
	dir := t.TempDir()
	open := func(names ...string) *x509.Certificate {
		t.Helper()
		a, err := authority.Open(dir, names, func() time.Time { return now })
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.Server()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Leaf.CheckSignatureFrom(mustParse(t, a.DER())); err != nil {
			t.Error(err)
		}
		return c.Leaf
	}
	first := open("localhost", "127.0.0.1")
	if again := open("localhost"); !again.Equal(first) {
		t.Error("made anew for nothing")
	}
	named := open("localhost", "loyalty.example", "192.0.2.7")
	if named.Equal(first) || named.VerifyHostname("loyalty.example") != nil || named.VerifyHostname("192.0.2.7") != nil {
		t.Error("the new names are missing")
	}
	now = now.Add(200 * 24 * time.Hour)
	if !open("localhost").Equal(named) {
		t.Error("made anew too early")
	}
	now = now.Add(70 * 24 * time.Hour)
	if open("localhost").Equal(named) {
		t.Error("not made anew in time")
	}
}

func mustParse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPeer: which device a certificate speaks for, and which certificates speak
// for none.
func TestPeer(t *testing.T) {
	now := time.Now()
	a, err := authority.Open(t.TempDir(), nil, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	other, err := authority.Open(t.TempDir(), nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	pub, _, _ := ed25519.GenerateKey(nil)
	made := func(a *authority.Authority, id string) *tls.ConnectionState {
		der, err := a.Device(id, pub)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{mustParse(t, der)}}
	}
	server, err := a.Server()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cs   *tls.ConnectionState
		want error
	}{
		"no TLS":              {nil, authority.ErrNoCertificate},
		"none":                {&tls.ConnectionState{}, authority.ErrNoCertificate},
		"a device's":          {made(a, "dev-0123456789"), nil},
		"another authority's": {made(other, "dev-0123456789"), authority.ErrForeign},
		"the centre's own":    {&tls.ConnectionState{PeerCertificates: []*x509.Certificate{server.Leaf}}, authority.ErrForeign},
		"nobody's":            {made(a, "root"), authority.ErrForeign},
	} {
		if id, err := a.Peer(c.cs); !errors.Is(err, c.want) || c.want == nil && (err != nil || id != "dev-0123456789") {
			t.Errorf("%s: %q %v", name, id, err)
		}
	}
	cs := made(a, "dev-0123456789")
	now = now.Add(authority.DeviceLife + time.Minute)
	if id, err := a.Peer(cs); !errors.Is(err, authority.ErrExpired) || id == "" {
		t.Errorf("ended: %q %v", id, err)
	}
}
