package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/configs/rulebooks"
	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/wire"
)

const patience = 60 * time.Second

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// head is a centre with its own authority and a rulebook published.
type head struct {
	t   *testing.T
	dir string
	s   *central.Server
	now func() time.Time
}

func newHead(t *testing.T, now func() time.Time) *head {
	h := &head{t: t, dir: t.TempDir(), now: now}
	var err error
	h.s, err = central.Open(t.Context(), central.Config{Dir: h.dir, OwnTLS: true, Version: "test", Now: now, Poll: 20 * time.Millisecond,
		Timing: hub.Timing{Ping: 200 * time.Millisecond, FeedRetry: 20 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	h.publish("grocer")
	return h
}

func (h *head) publish(name string) {
	h.t.Helper()
	doc, err := rulebooks.Get(name)
	if err != nil {
		h.t.Fatal(err)
	}
	h.publishDoc(doc)
}

func (h *head) publishDoc(doc []byte) {
	h.t.Helper()
	key, err := keys.Load(central.KeyFile(h.dir))
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(func(tx *db.Tx) error {
		_, _, err := rulebook.Publish(tx, doc, "", 0, key, h.time(), central.NewEngine(h.s.DB()).Check)
		return err
	})
}

func (h *head) time() time.Time {
	if h.now == nil {
		return time.Now()
	}
	return h.now()
}

func (h *head) write(fn func(tx *db.Tx) error) {
	h.t.Helper()
	if err := h.s.DB().Write(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// code is what a technician is given.
func (h *head) code(till string) (code string) {
	h.t.Helper()
	h.write(func(tx *db.Tx) (err error) { code, _, err = fleet.NewCode(tx, "s1", till, h.time(), nil); return err })
	a, err := central.Authority(h.dir, "", "", nil, time.Now)
	if err != nil {
		h.t.Fatal(err)
	}
	return a.Code(code)
}

func (h *head) enrol(dir, till string) *agent.Identity {
	h.t.Helper()
	id, err := agent.Enrol(h.t.Context(), agent.Enrolment{Dir: dir, Server: h.s.URL(), Code: h.code(till), Version: "test"})
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// work runs an agent on a folder until the test ends or stop is called. change
// may alter its settings.
func work(t *testing.T, dir string, now func() time.Time, change func(*configs.Agent)) (a *agent.Agent, log *logBuffer, stop func()) {
	t.Helper()
	s := configs.DefaultAgent()
	s.Data, s.API.Listen = dir, "127.0.0.1:0"
	if change != nil {
		change(&s)
	}
	log = &logBuffer{}
	a, err := agent.Open(agent.Options{Settings: s, Version: "test", Now: now, Log: slog.New(slog.NewTextHandler(log, nil)),
		Timing: uplink.Timing{Ping: 200 * time.Millisecond, RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = a.Run(ctx) }() // its error is that of ctx
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return a, log, stop
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *logBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func online(a *agent.Agent) bool { return a.Till().Status().Link.Mode == "online" }

// TestEnrolledByTheMarkAlone: the code names the authority; the till pins it,
// gets a certificate, and works over mutual TLS.
func TestEnrolledByTheMarkAlone(t *testing.T) {
	h := newHead(t, nil)
	dir := t.TempDir()
	id := h.enrol(dir, "1")
	if len(id.Authority) == 0 || len(id.Certificate) == 0 || !strings.HasPrefix(id.SyncURL, "wss://") {
		t.Fatalf("authority %d bytes, certificate %d bytes, %s", len(id.Authority), len(id.Certificate), id.SyncURL)
	}
	leaf, err := x509.ParseCertificate(id.Certificate)
	if err != nil || leaf.Subject.CommonName != id.Device {
		t.Fatalf("%v %v", leaf.Subject, err)
	}
	if left := time.Until(leaf.NotAfter); left > 90*24*time.Hour || left < 89*24*time.Hour {
		t.Errorf("the certificate is good for %v", left)
	}
	a, _, _ := work(t, dir, nil, nil)
	until(t, "online with a rulebook", func() bool { return online(a) && a.Till().Status().Rulebook.Version != "" })
	// Files with keys are for the owner only.
	for _, f := range []string{filepath.Join(h.dir, "tls", "ca.key"), filepath.Join(h.dir, "tls", "server.key"), filepath.Join(dir, agent.IdentityFile), filepath.Join(dir, agent.TrustFile)} {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, st, err)
		}
	}
}

// middle is somebody between till and centre with an authority of their own. It
// notes every byte that comes in over TLS, and hands it on when forward is set.
type middle struct {
	addr  string
	heard atomic.Int64
	hands atomic.Int64 // finished or tried handshakes
}

func stranger(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Tillside centre"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, caDER}, PrivateKey: key}
}

func newMiddle(t *testing.T, config *tls.Config, centre string) *middle {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &middle{addr: l.Addr().String()}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer raw.Close()
				_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
				c := tls.Server(raw, config)
				m.hands.Add(1)
				if c.Handshake() != nil {
					return
				}
				var to io.Writer = io.Discard
				if centre != "" {
					up, err := tls.Dial("tcp", centre, &tls.Config{InsecureSkipVerify: true})
					if err != nil {
						return
					}
					defer up.Close()
					_ = up.SetDeadline(time.Now().Add(10 * time.Second))
					to = up
					wg.Go(func() { _, _ = io.Copy(c, up) })
				}
				b := make([]byte, 4096)
				for {
					n, err := c.Read(b)
					m.heard.Add(int64(n))
					if n > 0 {
						_, _ = to.Write(b[:n])
					}
					if err != nil {
						return
					}
				}
			})
		}
	})
	return m
}

// TestManInTheMiddle (F19): another authority, an older TLS, at enrolment and at
// work: not one byte is said to them, and nothing has an effect.
func TestManInTheMiddle(t *testing.T) {
	h := newHead(t, nil)
	code := h.code("1")
	for name, config := range map[string]*tls.Config{
		"another authority": {Certificates: []tls.Certificate{stranger(t)}},
		"TLS 1.2":           {Certificates: []tls.Certificate{stranger(t)}, MaxVersion: tls.VersionTLS12},
	} {
		dir := t.TempDir()
		m := newMiddle(t, config, h.s.Address())
		_, err := agent.Enrol(t.Context(), agent.Enrolment{Dir: dir, Server: "https://" + m.addr, Code: code, Version: "test"})
		if err == nil || m.heard.Load() != 0 {
			t.Fatalf("%s: %v, and %d bytes were said", name, err, m.heard.Load())
		}
		if name == "another authority" && !strings.Contains(err.Error(), "somebody is in between") {
			t.Errorf("the technician is told: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, agent.IdentityFile)); err == nil {
			t.Errorf("%s: enrolled", name)
		}
	}
	// The code was never said, so it is still good.
	dir := t.TempDir()
	if _, err := agent.Enrol(t.Context(), agent.Enrolment{Dir: dir, Server: h.s.URL(), Code: code, Version: "test"}); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]*tls.Config{
		"another authority": {Certificates: []tls.Certificate{stranger(t)}},
		"TLS 1.2":           {Certificates: []tls.Certificate{stranger(t)}, MaxVersion: tls.VersionTLS12},
	} {
		m := newMiddle(t, config, h.s.Address())
		a, _, stop := work(t, dir, nil, func(s *configs.Agent) { s.Centre.URL = "wss://" + m.addr + wire.SyncPath })
		until(t, name+": tried twice", func() bool { return m.hands.Load() >= 2 })
		if online(a) || m.heard.Load() != 0 || a.Till().Status().Rulebook.Version != "" {
			t.Errorf("%s: online %v, %d bytes were said", name, online(a), m.heard.Load())
		}
		stop()
	}
	if n := len(h.s.Online()); n != 0 {
		t.Errorf("%d tills at the centre", n)
	}
	// With nobody in between the same till works.
	a, _, _ := work(t, dir, nil, nil)
	until(t, "online", func() bool { return online(a) })
}

// client opens a TLS connection to the centre with a certificate, or none.
func (h *head) client(cert *tls.Certificate) *http.Client {
	c := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	if cert != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	tr := &http.Transport{TLSClientConfig: c}
	h.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

// TestProxyWithAStolenHelloGainsNothing: whoever sits in between and has heard a
// till's HELLO, or has another till's certificate, opens no session.
func TestProxyWithAStolenHelloGainsNothing(t *testing.T) {
	h := newHead(t, nil)
	one, two := h.enrol(t.TempDir(), "1"), h.enrol(t.TempDir(), "2")
	dial := func(cert []byte, key *agent.Identity) (*websocket.Conn, *http.Response, error) {
		c := &tls.Config{InsecureSkipVerify: true}
		if cert != nil {
			c.Certificates = []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key.Key()}}
		}
		d := websocket.Dialer{TLSClientConfig: c, Subprotocols: []string{wire.Subprotocol}}
		return d.Dial("wss://"+h.s.Address()+wire.SyncPath, nil)
	}
	if _, resp, err := dial(nil, nil); err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("without a certificate: %v %v", resp, err)
	}
	foreign := stranger(t)
	d := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &foreign, nil }}}
	if _, _, err := d.Dial("wss://"+h.s.Address()+wire.SyncPath, nil); err == nil {
		t.Error("with a certificate of another authority")
	}
	read := func(ws *websocket.Conn) wire.Frame {
		t.Helper()
		_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, msg, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		f, err := wire.DecodeFrame(msg, false)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	var recorded []byte
	hello := func(cert, as *agent.Identity, replay bool) wire.Frame {
		t.Helper()
		ws, _, err := dial(cert.Certificate, cert)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		nonce := read(ws).(*wire.Challenge).Nonce
		if !replay {
			f, err := wire.SignHello(as.Key(), nonce, wire.HelloBody{Version: 1, Device: as.Device, Epoch: 1})
			if err != nil {
				t.Fatal(err)
			}
			if recorded, _, err = wire.EncodeFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := ws.WriteMessage(websocket.TextMessage, recorded); err != nil {
			t.Fatal(err)
		}
		return read(ws)
	}
	if f, ok := hello(two, one, false).(*wire.Refuse); !ok || f.Code != wire.RefuseSignature {
		t.Errorf("till 1 over the certificate of till 2: %+v", f)
	}
	if f := hello(one, one, false); f.Kind() != wire.KindWelcome {
		t.Errorf("the till itself: %+v", f)
	}
	if f, ok := hello(one, one, true).(*wire.Refuse); !ok || f.Code != wire.RefuseSignature {
		t.Errorf("its HELLO once more: %+v", f)
	}
}

// clock is a set clock for both ends.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// TestCertificateRenewedAlsoWhenItHasEnded: at two thirds of its time, and after
// four months without a link; a revoked till gets none.
func TestCertificateRenewedAlsoWhenItHasEnded(t *testing.T) {
	c := &clock{at: time.Now().Truncate(time.Second)}
	h := newHead(t, c.Now)
	dir := t.TempDir()
	first := h.enrol(dir, "1")
	a, _, stop := work(t, dir, c.Now, nil)
	until(t, "online", func() bool { return online(a) })
	stop()
	serial := func() string {
		id, err := agent.LoadIdentity(dir)
		if err != nil {
			t.Fatal(err)
		}
		x, err := x509.ParseCertificate(id.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		return x.SerialNumber.String()
	}
	was := serial()
	for _, days := range []int{59, 2, 120} { // too early; due; ended long ago
		c.add(time.Duration(days) * 24 * time.Hour)
		a, _, stop := work(t, dir, c.Now, nil)
		until(t, "online", func() bool { return online(a) })
		if days == 59 {
			if serial() != was {
				t.Error("renewed too early")
			}
		} else {
			until(t, "renewed", func() bool { return serial() != was })
			was = serial()
		}
		stop()
	}

	// Ended, by hand: the session is refused until it is renewed.
	expired := tls.Certificate{Certificate: [][]byte{first.Certificate}, PrivateKey: first.Key()}
	resp, err := h.client(&expired).Get(h.s.URL() + wire.SyncPath)
	if err != nil {
		t.Fatal(err)
	}
	var refused wire.ErrorBody
	_ = json.NewDecoder(resp.Body).Decode(&refused)
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || refused.Error.Code != "certificate_expired" {
		t.Errorf("with an ended certificate: %d %+v", resp.StatusCode, refused)
	}
	ask := func(sign func(*wire.CertificateRequest)) (int, string) {
		q := &wire.CertificateRequest{Device: first.Device, SentMS: 1}
		sign(q)
		b, _ := json.Marshal(q)
		resp, err := h.client(nil).Post(h.s.URL()+wire.CertificatePath, "application/json", bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var e wire.ErrorBody
		_ = json.NewDecoder(resp.Body).Decode(&e)
		return resp.StatusCode, e.Error.Code
	}
	other := h.enrol(t.TempDir(), "2")
	if n, code := ask(func(q *wire.CertificateRequest) { q.Sign(other.Key()) }); n != http.StatusForbidden || code != "signature" {
		t.Errorf("signed by another device: %d %s", n, code)
	}
	if n, code := ask(func(q *wire.CertificateRequest) { q.Device = "dev-zzzzzzzzzz"; q.Sign(other.Key()) }); n != http.StatusForbidden || code != "signature" {
		t.Errorf("an unknown device: %d %s", n, code)
	}
	if n, _ := ask(func(q *wire.CertificateRequest) { q.Sign(first.Key()) }); n != http.StatusOK {
		t.Errorf("the device itself: %d", n)
	}
	h.write(func(tx *db.Tx) error { _, err := fleet.Revoke(tx, "", "", first.Device, "stolen", c.Now()); return err })
	if n, code := ask(func(q *wire.CertificateRequest) { q.Sign(first.Key()) }); n != http.StatusForbidden || code != "revoked" {
		t.Errorf("a revoked device: %d %s", n, code)
	}
	a, _, _ = work(t, dir, c.Now, nil)
	until(t, "refused", func() bool { return a.Till().Status().Link.Phase == "refused" })
}

// TestPlainHTTPOnlyOnThisMachine: no code, no session, no settings without TLS
// beyond loopback.
func TestPlainHTTPOnlyOnThisMachine(t *testing.T) {
	for _, server := range []string{"http://192.0.2.1:8760", "ws://centre.example"} {
		_, err := agent.Enrol(t.Context(), agent.Enrolment{Dir: t.TempDir(), Server: server, Code: "AAAA-BBBB-CCCC", Version: "test"})
		if err == nil || !strings.Contains(err.Error(), "want https://") {
			t.Errorf("%s: %v", server, err)
		}
	}
	s := configs.DefaultAgent()
	s.Centre.URL = "ws://192.0.2.1/v1/sync"
	var problems configs.Problems
	if err := s.Check(); !errors.As(err, &problems) {
		t.Errorf("settings of a till: %v", err)
	}
	c := configs.DefaultCentral()
	c.TLS.Mode, c.Listen = "off", "0.0.0.0:8760"
	if err := c.Check(); !errors.As(err, &problems) {
		t.Errorf("settings of a centre: %v", err)
	}
	if c.URL = "https://loyalty.example"; c.Check() != nil {
		t.Errorf("behind a proxy: %v", c.Check())
	}
}
