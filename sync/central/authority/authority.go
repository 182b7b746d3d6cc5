// Package authority is the centre's own certificate authority: it vouches for
// the centre to the tills, and for the tills to the centre, and for nobody else.
//
//	ca.pem, ca.key          made at the first start, good for 20 years
//	server.pem, server.key  the centre's certificate, good for 397 days, renewed by itself
//	(on the tills)          one certificate a device, good for 90 days, renewed at 60
//
// A till that is enrolled believes this authority alone, not the hundred-odd of
// its system: nobody else's certificate for the centre's name is worth anything.
// The one-time code carries the authority's mark (see wire.CodeMark), so the
// first contact is safe as well.
//
// The keys lie in a folder of their own, for the centre's user only. A house
// that has an authority puts its ca.pem and ca.key there before the first start.
// Keys are ECDSA P-256, because browsers read the centre's pages with the same
// certificate and take no Ed25519; a device's key is Ed25519 as everywhere.
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

// How long certificates are good.
const (
	caYears    = 20
	serverLife = 397 * 24 * time.Hour
	DeviceLife = 90 * 24 * time.Hour
	early      = time.Hour // before now, for clocks that differ
)

var (
	// ErrNoCertificate is returned for a connection without a certificate.
	ErrNoCertificate = errors.New("the till shows no certificate")
	// ErrExpired is returned for a certificate that has ended.
	ErrExpired = errors.New("the till's certificate has ended")
	// ErrForeign is returned for a certificate of another authority, or one
	// that is not a device's.
	ErrForeign = errors.New("the certificate is not one of ours")
)

// Authority signs certificates. It is safe for concurrent use.
type Authority struct {
	dir   string
	names []string
	now   func() time.Time
	cert  *x509.Certificate
	key   crypto.Signer

	mu     sync.Mutex
	server *tls.Certificate
}

// Open reads the authority of a folder and makes it when there is none. names
// are how the centre is reached, names and addresses.
func Open(dir string, names []string, now func() time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the certificates: %w", err)
	}
	a := &Authority{dir: dir, names: names, now: now}
	pair, err := load(dir, "ca")
	if errors.Is(err, fs.ErrNotExist) {
		pair, err = a.found()
	}
	if err != nil {
		return nil, err
	}
	if a.cert, a.key = pair.Leaf, pair.PrivateKey.(crypto.Signer); !a.cert.IsCA {
		return nil, fmt.Errorf("%s is not the certificate of an authority", filepath.Join(dir, "ca.pem"))
	}
	return a, nil
}

// DER is the authority's certificate.
func (a *Authority) DER() []byte { return a.cert.Raw }

// File is where the authority's certificate lies, for browsers and monitoring.
func (a *Authority) File() string { return filepath.Join(a.dir, "ca.pem") }

// Code completes a one-time code with the authority's mark.
func (a *Authority) Code(code string) string { return code + "-" + wire.CodeMark(code, a.cert.Raw) }

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil { // never with crypto/rand
		panic(err)
	}
	return n
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// found makes the authority. Two programs may begin at once (the centre, and a
// command beside it): whoever lays a file down first has made it, and the other
// goes on with that one. After a cut between key and certificate the next call
// makes a certificate for the key that is there.
func (a *Authority) found() (*tls.Certificate, error) {
	keyFile, certFile := filepath.Join(a.dir, "ca.key"), filepath.Join(a.dir, "ca.pem")
	fresh, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(fresh)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	b, err := first(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s is not a PEM file", keyFile)
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", keyFile, err)
	}
	key, ok := any.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s holds no key that signs", keyFile)
	}
	now := a.now()
	t := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "Tillside centre " + now.UTC().Format("2006-01-02 15:04")},
		NotBefore: now.Add(-early), NotAfter: now.AddDate(caYears, 0, 0), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	if der, err = x509.CreateCertificate(rand.Reader, t, t, key.Public(), key); err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	if _, err := first(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, err
	}
	return load(a.dir, "ca")
}

// first writes a file whole unless it is there, and gives what it holds then.
func first(file string, b []byte, mode fs.FileMode) ([]byte, error) {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".new-*")
	if err != nil {
		return nil, fmt.Errorf("store certificate: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), file)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("store certificate: %w", err)
	}
	return os.ReadFile(file)
}

// store writes key and certificates, the certificates last: a cut between the
// two leaves nothing that load would take.
func store(dir, name string, key crypto.PrivateKey, chain ...[]byte) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("store key: %w", err)
	}
	var certs []byte
	for _, c := range chain {
		certs = append(certs, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	if err := write(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	return write(filepath.Join(dir, name+".pem"), certs, 0o644)
}

func write(file string, b []byte, mode fs.FileMode) error {
	tmp := file + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("store certificate: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(tmp, file)
	}
	if err != nil {
		return fmt.Errorf("store certificate: %w", err)
	}
	return nil
}

// load reads a pair. fs.ErrNotExist says that there is none.
func load(dir, name string) (*tls.Certificate, error) {
	cert, err := os.ReadFile(filepath.Join(dir, name+".pem"))
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(dir, name+".key"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s lies in %s without %s: put the key there, or take both away and enrol all tills again", name+".pem", dir, name+".key")
	}
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s in %s: %w", name, dir, err)
	}
	return &pair, nil
}

// Server is the centre's certificate, made anew when two thirds of its time are
// over, when the authority is another one, or when a name is missing.
func (a *Authority) Server() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.server != nil && !a.stale(a.server.Leaf, now) {
		return a.server, nil
	}
	if pair, err := load(a.dir, "server"); err == nil && !a.stale(pair.Leaf, now) {
		a.server = pair
		return pair, nil
	}
	key, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	t := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "tillside-central"}, NotBefore: now.Add(-early),
		NotAfter: now.Add(serverLife), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, n := range a.names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	if err := store(a.dir, "server", key, der, a.cert.Raw); err != nil {
		return nil, err
	}
	a.server, err = load(a.dir, "server")
	return a.server, err
}

func (a *Authority) stale(c *x509.Certificate, now time.Time) bool {
	if now.Before(c.NotBefore) || now.After(c.NotBefore.Add(serverLife*2/3)) || c.CheckSignatureFrom(a.cert) != nil {
		return true
	}
	return slices.ContainsFunc(a.names, func(n string) bool { return c.VerifyHostname(n) != nil })
}

// Device makes the certificate of a device's key.
func (a *Authority) Device(id string, key ed25519.PublicKey) ([]byte, error) {
	now := a.now()
	t := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: id}, NotBefore: now.Add(-early), NotAfter: now.Add(DeviceLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("make certificate of %s: %w", id, err)
	}
	return der, nil
}

// TLS is what the centre listens with: TLS 1.3, its own certificate, and a look
// at the certificate of who comes. A browser may come without one; whoever shows
// one of another authority is sent away at once.
func (a *Authority) TLS() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// http/1.1 only: a session is a websocket, which needs the connection.
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.Server() },
		ClientAuth:     tls.RequestClientCert,
		ClientCAs:      pool,
		VerifyConnection: func(cs tls.ConnectionState) error {
			if _, err := a.Peer(&cs); err != nil && !errors.Is(err, ErrNoCertificate) && !errors.Is(err, ErrExpired) {
				return err
			}
			return nil
		},
	}
}

// Peer tells which device a connection belongs to. With ErrExpired the device is
// told as well: it may have its certificate renewed, and nothing else.
func (a *Authority) Peer(cs *tls.ConnectionState) (device string, err error) {
	if cs == nil || len(cs.PeerCertificates) == 0 {
		return "", ErrNoCertificate
	}
	leaf := cs.PeerCertificates[0]
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	at := leaf.NotBefore.Add(early) // its dates are looked at below
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return "", fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if !wire.ValidDevice(leaf.Subject.CommonName) {
		return "", ErrForeign
	}
	if a.now().After(leaf.NotAfter) {
		return leaf.Subject.CommonName, ErrExpired
	}
	return leaf.Subject.CommonName, nil
}

// Names are how a centre may be called from outside: what it listens on, this
// machine's names and addresses, and what the settings add.
func Names(listen string, more ...string) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	add := func(n string) {
		if n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	if host, _, err := net.SplitHostPort(listen); err == nil {
		if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
			add(host)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			if own, err := os.Hostname(); err == nil {
				add(own)
			}
			if list, err := net.InterfaceAddrs(); err == nil {
				for _, n := range list {
					if ip, ok := n.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
						add(ip.IP.String())
					}
				}
			}
		}
	}
	for _, n := range more {
		add(n)
	}
	return names
}
