package linktest_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/hub/hubtest"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/uplink/uplinktest"
	"github.com/tillside/tillside/sync/wire"
)

// authority makes a certificate for 127.0.0.1 that only its own pool trusts.
func authority(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func pool(p []byte) *tls.Config {
	c := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
	c.RootCAs.AppendCertsFromPEM(p)
	return c
}

// serveTLS puts a hub behind TLS on a free port.
func serveTLS(t testing.TB, h *hub.Hub, cert tls.Certificate) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(wire.SyncPath, h)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return ln.Addr().String()
}

func TestOverTLS(t *testing.T) {
	c := newCentre(t, nil, nil)
	cert, ca := authority(t)
	_, other := authority(t)
	addr := serveTLS(t, c.hub, cert)
	tl := newTill(t, c, 1, func(cfg *uplink.Config) { cfg.TLS = pool(other) })
	tl.url = "wss://" + addr
	if err := tl.SellMany("m", 1, 500); err != nil {
		t.Fatal(err)
	}
	// A centre whose certificate another authority signed gets nothing.
	tl.start()
	until(t, "refused", func() bool { st := tl.sess.State(); return st.Attempts >= 2 && st.LastError != "" })
	tl.stop()
	if n := len(c.store.Stored(tl.id.Device, 1)); n != 0 || len(c.store.Seen()) != 0 {
		t.Fatalf("%d records went to a stranger", n)
	}
	tl.opts = func(cfg *uplink.Config) { cfg.TLS = pool(ca) }
	tl.start()
	until(t, "drained", tl.drained)
	agree(t, c, tl)
}

const tillsVar, caVar = "LINKTEST_TILLS", "LINKTEST_CA"

// TestIdleChild holds many sessions open, for BenchmarkIdleSession.
func TestIdleChild(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(tillsVar))
	if err != nil {
		t.Skip("runs in the child of BenchmarkIdleSession")
	}
	ca, err := os.ReadFile(os.Getenv(caVar))
	if err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
	d := websocket.Dialer{TLSClientConfig: pool(ca), Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: time.Minute}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := idle(&d, i); err != nil {
				fmt.Println("FAILED", err)
				os.Exit(1)
			}
		})
	}
	wg.Wait()
	fmt.Println("AT", n)
	select {}
}

func idle(d *websocket.Dialer, i int) error {
	ws, _, err := d.Dial("wss://"+os.Getenv(centreVar)+wire.SyncPath, nil)
	if err != nil {
		return err
	}
	_, msg, err := ws.ReadMessage()
	if err != nil {
		return err
	}
	f, err := wire.DecodeFrame(msg, false)
	if err != nil {
		return err
	}
	id := uplinktest.DeviceID(i)
	h, err := wire.SignHello(uplinktest.Key(id), f.(*wire.Challenge).Nonce, wire.HelloBody{Version: 1, Device: id, Epoch: 1})
	if err != nil {
		return err
	}
	if msg, _, err = wire.EncodeFrame(h); err != nil {
		return err
	}
	if err := ws.WriteMessage(websocket.TextMessage, msg); err != nil {
		return err
	}
	if _, msg, err = ws.ReadMessage(); err != nil {
		return err
	}
	if f, err = wire.DecodeFrame(msg, false); err != nil || f.Kind() != wire.KindWelcome {
		return fmt.Errorf("%s instead of WELCOME: %w", msg, err)
	}
	go func() {
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	}()
	return nil
}

// BenchmarkIdleSession is what one connected till costs the centre in memory,
// TLS included. The tills are another process.
func BenchmarkIdleSession(b *testing.B) {
	n := max(b.N, 1000)
	c := newCentre(b, func(s *hubtest.Store) {
		for i := range n {
			id := uplinktest.DeviceID(i)
			if err := s.Enrol(hub.Device{ID: id, Epoch: 1, Key: uplinktest.Key(id).Public().(ed25519.PublicKey)}); err != nil {
				b.Fatal(err)
			}
		}
	}, func(cfg *hub.Config) { cfg.Timing = hub.Timing{} })
	cert, ca := authority(b)
	addr := serveTLS(b, c.hub, cert)
	file := filepath.Join(b.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		b.Fatal(err)
	}
	used := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	b.Setenv(tillsVar, strconv.Itoa(n))
	b.Setenv(caVar, file)
	before := used()
	kid := spawn(b, "^TestIdleChild$", "idle", "", addr)
	select {
	case <-kid.at:
	case <-time.After(5 * patience):
		b.Fatal("the tills do not connect")
	}
	until(b, "all online", func() bool { return len(c.hub.Online()) == n })
	b.ReportMetric(float64(used()-before)/float64(n), "B/session")
	b.ReportMetric(float64(n), "sessions")
	kid.kill(b)
	until(b, "all gone", func() bool { return len(c.hub.Online()) == 0 })
}
