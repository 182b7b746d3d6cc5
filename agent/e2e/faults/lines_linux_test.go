package faults

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/e2e/faults/badline"
	"github.com/tillside/tillside/sync/wire"
)

// apart is a till in one network and head office in another, with a line
// between them.
func apart(t *testing.T) (*badline.Line, *headOffice, *shop) {
	t.Helper()
	l, err := badline.New(*firstSeed)
	if errors.Is(err, badline.ErrNotHere) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	ln, err := l.B.Listen(8760)
	if err != nil {
		t.Fatal(err)
	}
	tmp := scratch(t)
	authority, config := certificate(t, l.B.Addr)
	o := newHeadOfficeAt(t, tls.NewListener(ln, config))
	ca, settings := filepath.Join(tmp, "ca.pem"), filepath.Join(tmp, "till.toml")
	err = errors.Join(os.WriteFile(ca, authority, 0o600), os.WriteFile(settings, fmt.Appendf(nil, "version = 1\n[centre]\nca_file = %q\n", ca), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, tmp: tmp, command: l.A.Command, more: []string{"--config", settings},
		http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: l.A.Dial}}}
	s.dir = filepath.Join(s.tmp, "data")
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.token = folder(t, s.dir, "wss://"+o.addr+wire.SyncPath)
	t.Cleanup(s.kill)
	return l, o, s
}

// certificate makes one for an address, signed by itself.
func certificate(t *testing.T, addr string) (pemCA []byte, config *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.ParseIP(addr)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		&tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// selling makes sales, one of them with points, and tells how long the slowest
// call took of those that need no word from the centre, and of those that ask.
func (s *shop) selling(n int, slow *[]time.Duration) (asking time.Duration) {
	for range n {
		i := len(s.calls) + 1
		id := fmt.Sprintf("L%05d", i)
		began := time.Now()
		if status, answer := s.do("capture", id, "/v1/receipts/"+id+"/capture", fmt.Sprintf(`{"shift":"S1","receipt":{"currency":"GBP","lines":[{"sku":"%d","quantity":"1","price":"9.90"}]}}`, i%9)); status != http.StatusOK {
			s.t.Errorf("%s: %d %s", id, status, answer)
		}
		*slow = append(*slow, time.Since(began))
	}
	id := fmt.Sprintf("P%05d", len(s.calls)+1)
	began := time.Now() // the question who she is may wait for the centre, too
	member := s.identify(cards[0])
	if status, answer := s.do("authorise", id, "/v1/receipts/"+id+"/authorise", fmt.Sprintf(`{"currency":"GBP","member":%q,"spend":"1","lines":[{"sku":"1","quantity":"1","price":"19.90"}]}`, member)); status != http.StatusOK {
		s.t.Errorf("%s: %d %s", id, status, answer)
	}
	asking = time.Since(began)
	if status, answer := s.do("capture", id, "/v1/receipts/"+id+"/capture", `{"shift":"S1"}`); status != http.StatusOK {
		s.t.Errorf("%s: %d %s", id, status, answer)
	}
	return asking
}

func (s *shop) drained() bool {
	st := s.status()
	return st.Journal.Seq > 0 && st.Journal.Acked == st.Journal.Seq
}

// whole proves that the centre has the till's journal, each record once.
func (o *headOffice) whole(t *testing.T, s *shop) {
	t.Helper()
	s.kill()
	j := job{Dir: s.dir, Token: s.token, Asked: len(s.calls), Told: len(s.calls), Whole: true}
	if err := j.verify(s.calls); err != nil {
		t.Error(err)
	}
	if a := o.store.Alarms(); len(a) > 0 {
		t.Errorf("alarm: %+v", a[0])
	}
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[min(len(d)-1, len(d)*99/100)]
}

// TestSilentLine (F15): packets vanish both ways, or one way, or those of the
// connections of before. Both ends notice, the till sells on meanwhile, and
// what it sold arrives.
func TestSilentLine(t *testing.T) {
	if testing.Short() {
		t.Skip("silence takes its time")
	}
	for name, quiet := range map[string]func(*badline.Line){
		"both ways":     func(l *badline.Line) { l.Set(badline.Quality{Mute: true}, badline.Quality{Mute: true}) },
		"from the till": func(l *badline.Line) { l.Set(badline.Quality{Mute: true}, badline.Quality{}) },
		"to the till":   func(l *badline.Line) { l.Set(badline.Quality{}, badline.Quality{Mute: true}) },
		"of old connections, as a router forgets them": (*badline.Line).Forget,
	} {
		if *long == 0 && name != "both ways" {
			continue // a minute of silence each
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, o, s := apart(t)
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
			until(t, "the link is up", func() bool { return s.status().Mode == "online" && len(o.hub.Online()) == 1 })
			var fine, dead []time.Duration
			s.selling(3, &fine)
			until(t, "drained", s.drained)
			quiet(l)
			began := time.Now()
			asking := s.selling(1, &dead)
			var near, far time.Duration
			until(t, "both ends notice", func() bool {
				if st := s.status(); near == 0 && st.Mode == "offline" {
					near = time.Since(began)
				}
				if far == 0 && len(o.hub.Online()) == 0 {
					far = time.Since(began)
				}
				if name[0] == 'o' && near > 0 && s.drained() {
					return true // it is back already, the other end has seen the old one off
				}
				s.selling(1, &dead)
				time.Sleep(300 * time.Millisecond)
				return near > 0 && far > 0
			})
			l.Set(badline.Quality{}, badline.Quality{})
			until(t, "drained", s.drained)
			bad := 0
			if near > time.Minute || far > time.Minute {
				bad++
				t.Errorf("noticed after %s at the till, %s at the centre", near, far)
			}
			o.whole(t, s)
			if t.Failed() {
				bad = 1
			}
			did := fmt.Sprintf("noticed in %.0f s at the till, %.0f s at the centre; %d sales meanwhile, p99 %s; a spend waited %s once",
				near.Seconds(), far.Seconds(), len(dead), p99(dead).Round(100*time.Microsecond), asking.Round(time.Millisecond))
			rows.add("F15", "packets vanish "+name, did, bad)
			t.Log(did)
		})
	}
}

// TestPoorLine (F16): a slow line, a lossy one, a far one. What is sold
// arrives, and the till does not wait for it.
func TestPoorLine(t *testing.T) {
	if testing.Short() {
		t.Skip("slow by its nature")
	}
	for name, q := range map[string]badline.Quality{
		"9.6 kbit/s":           {Rate: 9600, Delay: 100 * time.Millisecond},
		"30 % loss":            {Loss: 0.3, Delay: 30 * time.Millisecond},
		"3 s of latency a way": {Delay: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, o, s := apart(t)
			l.Set(q, q)
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
			var slow []time.Duration
			for range 5 {
				s.selling(5, &slow)
			}
			began := time.Now()
			until(t, "drained", s.drained)
			took := time.Since(began)
			o.whole(t, s)
			bad := 0
			if t.Failed() {
				bad = 1
			}
			did := fmt.Sprintf("%d receipts there after %.0f s; %d packets, %d of them lost; sales meanwhile p99 %s",
				len(s.calls), took.Seconds(), l.Packets.Load(), l.Dropped.Load(), p99(slow).Round(100*time.Microsecond))
			rows.add("F16", name, did, bad)
			t.Log(did)
		})
	}
}
