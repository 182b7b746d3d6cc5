package agent

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/sync/wire"
)

// errOtherAuthority is returned when the centre's certificate is not signed by
// the authority the till was enrolled with.
var errOtherAuthority = errors.New("the certificate is not signed by this till's centre: somebody is in between, or it is another centre")

// TLS makes the client settings for a private authority named in a file, or the
// system's authorities when there is none.
func TLS(caFile string) (*tls.Config, error) {
	if caFile == "" {
		return &tls.Config{MinVersion: tls.VersionTLS13}, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificates: %s holds none", caFile)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}, nil
}

// pinned believes one authority and nothing else. Names are not compared: the
// authority vouches for one centre only, which may be reached by any name. Nor
// are dates: a till whose battery is dead believes it is 1970 and could never
// ask the centre for the time. What a stolen certificate of the centre is worth
// ends with the authority, not with a date.
func pinned(authority []byte) (*tls.Config, error) {
	ca, err := x509.ParseCertificate(authority)
	if err != nil {
		return nil, fmt.Errorf("the centre's authority: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, // replaced by what follows
		VerifyConnection: func(cs tls.ConnectionState) error {
			return signedBy(ca, &cs)
		}}, nil
}

func signedBy(ca *x509.Certificate, cs *tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return errOtherAuthority
	}
	leaf, pool := cs.PeerCertificates[0], x509.NewCertPool()
	pool.AddCert(ca)
	at := leaf.NotBefore
	if at.Before(ca.NotBefore) {
		at = ca.NotBefore
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		return fmt.Errorf("%w (%w)", errOtherAuthority, err)
	}
	return nil
}

// marked believes whichever authority the mark of a one-time code names, and
// hands it to found. Nothing is sent before that.
func marked(secret, mark string, found *[]byte) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, // replaced by what follows
		VerifyConnection: func(cs tls.ConnectionState) error {
			for _, c := range cs.PeerCertificates {
				if c.IsCA && wire.CodeMark(secret, c.Raw) == mark {
					*found = c.Raw
					return signedBy(c, &cs)
				}
			}
			return errors.New("the code does not belong to this centre: check its last group and the address; if both are right, somebody is in between")
		}}
}

// loopbackOnly refuses to speak without TLS beyond this machine.
func loopbackOnly(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "ws" || u.Hostname() == "localhost" {
		return nil
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s: without TLS only on this machine; want https://%s", address, u.Host)
}

// credentials are what the till shows the centre and believes of it. They may be
// renewed while connections use them.
type credentials struct {
	dir  string
	tls  *tls.Config // without a certificate of ours; for enrolling too
	mu   sync.Mutex
	id   *Identity
	cert *tls.Certificate
}

// newCredentials makes them from settings and identity, which may be nil. A CA
// file of the settings goes before what enrolment brought.
func newCredentials(dir, caFile string, id *Identity) (*credentials, error) {
	c := &credentials{dir: dir, id: id}
	var err error
	if caFile == "" && id != nil && len(id.Authority) > 0 {
		c.tls, err = pinned(id.Authority)
	} else {
		c.tls, err = TLS(caFile)
	}
	if err != nil {
		return nil, err
	}
	if id != nil && len(id.Certificate) > 0 {
		c.cert, err = pair(id.Certificate, id.Key())
		if err != nil {
			return nil, fmt.Errorf("read identity: %w", err)
		}
	}
	return c, nil
}

// ClientTLS is what the agent of a data folder shows the centre and believes of
// it: for commands that look at the link themselves. id may be nil.
func ClientTLS(dir, caFile string, id *Identity) (*tls.Config, error) {
	c, err := newCredentials(dir, caFile, id)
	if err != nil {
		return nil, err
	}
	return c.client(), nil
}

func pair(der []byte, key ed25519.PrivateKey) (*tls.Certificate, error) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if pub, ok := leaf.PublicKey.(ed25519.PublicKey); !ok || !pub.Equal(key.Public()) {
		return nil, errors.New("the certificate is of another key")
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: crypto.Signer(key), Leaf: leaf}, nil
}

// client is what a session is opened with: our certificate of this moment.
func (c *credentials) client() *tls.Config {
	t := c.tls.Clone()
	t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.cert == nil {
			return &tls.Certificate{}, nil
		}
		return c.cert, nil
	}
	return t
}

// due tells when the certificate should be renewed: when two thirds of its time
// are over. Zero: there is none to renew.
func (c *credentials) due() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cert == nil {
		return time.Time{}
	}
	l := c.cert.Leaf
	return l.NotBefore.Add(l.NotAfter.Sub(l.NotBefore) * 2 / 3)
}

// renew asks for another certificate for the same key. The centre gives it also
// when the old one has ended, unless the device is revoked.
func (c *credentials) renew(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), now time.Time) error {
	q := wire.CertificateRequest{Device: c.id.Device, SentMS: now.UnixMilli()}
	q.Sign(c.id.Key())
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.id.Server+wire.CertificatePath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: c.tls.Clone(), DialContext: dial, Proxy: http.ProxyFromEnvironment}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var e wire.ErrorBody
		if json.Unmarshal(b, &e) == nil && e.Error.Code != "" {
			return &e.Error
		}
		return fmt.Errorf("%s answered %s", req.URL.Host, resp.Status)
	}
	var a wire.CertificateAnswer
	if err := json.Unmarshal(b, &a); err != nil {
		return fmt.Errorf("the answer is not a certificate: %w", err)
	}
	cert, err := pair(a.Certificate, c.id.Key())
	if err != nil {
		return err
	}
	id := *c.id
	id.Certificate = a.Certificate
	if err := id.save(c.dir); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id.Certificate, c.cert = a.Certificate, cert
	return nil
}

// Pauses between two looks at the certificate, and between two tries to renew
// it. Random parts keep a chain's tills from asking together.
const (
	certificateLook  = time.Hour
	certificateRetry = time.Minute
)

// keepCertificate renews the certificate in time.
func (a *Agent) keepCertificate(ctx context.Context) error {
	for {
		wait := certificateLook
		now := a.o.Now()
		if t := a.clock.trusted(); !t.IsZero() {
			now = t
		}
		if due := a.creds.due(); !due.IsZero() && now.After(due) {
			err := a.creds.renew(ctx, a.o.Host.Dial, now)
			var refused *wire.Error
			switch {
			case err == nil:
				a.log.Info("certificate renewed", "until", a.creds.cert.Leaf.NotAfter)
				a.health.Clear(health.CertificateOld, "")
			case ctx.Err() != nil:
				return ctx.Err()
			default:
				a.log.Warn("certificate not renewed", "error", err)
				a.health.Set(errors.As(err, &refused) || now.After(a.creds.cert.Leaf.NotAfter), health.CertificateOld, "", err.Error())
				wait = certificateRetry
			}
		}
		if !pause(ctx, wait/2+rand.N(wait/2)) {
			return ctx.Err()
		}
	}
}
