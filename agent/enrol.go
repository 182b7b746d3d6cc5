package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/internal/private"
	"github.com/tillside/tillside/sync/wire"
)

// PendingFile holds an enrolment that was asked for and is not done yet. The
// agent goes on trying while it is there.
const PendingFile = "enrolment.json"

// Pending is an enrolment on its way. The key is made once and kept, so that a
// till whose answer was lost asks again as the same device: the centre gives
// it the same answer, although the code is used.
type Pending struct {
	Server     string    `json:"server"`
	Code       string    `json:"code"`
	Till       string    `json:"till,omitempty"` // "store/till" this machine is to be; empty: as the code says
	PrivateKey []byte    `json:"private_key"`
	Asked      time.Time `json:"asked"`
	// Refused tells why the centre will not have it; empty while it may.
	Refused string `json:"refused,omitempty"`
}

// String tells no secret.
func (p *Pending) String() string {
	s := "enrolment at " + p.Server
	if p.Till != "" {
		s += " as " + p.Till
	}
	if p.Refused != "" {
		s += ", refused: " + p.Refused
	}
	return s
}

// LoadPending reads the enrolment on its way; nil when there is none.
func LoadPending(dir string) (*Pending, error) {
	b, err := private.ReadSealed(filepath.Join(dir, PendingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read enrolment: %w", err)
	}
	var p Pending
	if err := json.Unmarshal(b, &p); err != nil || len(p.PrivateKey) != ed25519.SeedSize {
		return nil, errors.New("read enrolment: the file is not complete; give server and code again: tillside enrol")
	}
	return &p, nil
}

func (p *Pending) save(dir string) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return private.WriteSealed(filepath.Join(dir, PendingFile), append(b, '\n'))
}

// EnrolError is the centre's refusal of an enrolment.
type EnrolError struct{ Refusal wire.Error }

func (e *EnrolError) Error() string {
	if e.Refusal.Hint != "" {
		return e.Refusal.Message + " (" + e.Refusal.Hint + ")"
	}
	return e.Refusal.Message
}

// Final tells whether asking again with the same code is of no use.
func (e *EnrolError) Final() bool {
	switch e.Refusal.Code {
	case "code_unknown", "code_used", "code_expired", "other_till", "malformed":
		return true
	}
	return false
}

// Enrolment is what a till is enrolled with.
type Enrolment struct {
	Dir     string // data folder
	Server  string // address of the centre
	Code    string // one-time code
	Till    string // "store/till" that it must be; empty: as the code says
	Version string // of this program, for the fleet page
	Replace bool   // although there is an identity
	TLS     *tls.Config
	Now     func() time.Time // nil: time.Now
}

// prepare checks the words and lays the enrolment down: from here on a crash
// or a dead line loses nothing.
func (e *Enrolment) prepare() (*Pending, error) {
	if e.Now == nil {
		e.Now = time.Now
	}
	if old, err := LoadIdentity(e.Dir); old != nil && !e.Replace {
		return nil, fmt.Errorf("this till is enrolled already as %s; --replace enrols it anew", old)
	} else if err != nil && !e.Replace {
		return nil, err
	}
	code, ok := wire.NormaliseCode(e.Code)
	if !ok {
		return nil, errors.New("the code is not complete: three or four groups of four characters")
	}
	server, err := serverURL(e.Server)
	if err != nil {
		return nil, err
	}
	if _, mark := wire.SplitCode(code); mark != "" && !strings.HasPrefix(server, "https:") {
		return nil, fmt.Errorf("server %q: this code belongs to a centre with TLS; want https://", server)
	}
	if e.Till != "" && !validTill(e.Till) {
		return nil, fmt.Errorf("till %q: want store and till as at the centre, such as warsaw/1", e.Till)
	}
	p, err := LoadPending(e.Dir)
	if err == nil && p != nil && p.Code == code {
		p.Server, p.Till, p.Refused = server, e.Till, ""
		return p, p.save(e.Dir)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	p = &Pending{Server: server, Code: code, Till: e.Till, PrivateKey: key.Seed(), Asked: e.Now().UTC().Truncate(time.Second)}
	return p, p.save(e.Dir)
}

// serverURL brings a typed address into its one spelling.
func serverURL(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("server %q: want https://host", server)
	}
	switch u.Scheme {
	case "https", "http":
	case "wss":
		u.Scheme = "https"
	case "ws":
		u.Scheme = "http"
	default:
		return "", fmt.Errorf("server %q: want https://host", server)
	}
	server = u.Scheme + "://" + u.Host
	return server, loopbackOnly(server)
}

func validTill(s string) bool {
	store, till, ok := strings.Cut(s, "/")
	return ok && store != "" && till != "" && !strings.Contains(till, "/")
}

// Enrol asks the centre with a one-time code who this till is, and stores the
// answer. The key never leaves this machine. When the centre cannot be reached
// the enrolment stays in the data folder, and an agent that runs there carries
// it out later; the error is then none of EnrolError.
func Enrol(ctx context.Context, e Enrolment) (*Identity, error) {
	p, err := e.prepare()
	if err != nil {
		return nil, err
	}
	return p.enrol(ctx, &e)
}

// enrol makes one try.
func (p *Pending) enrol(ctx context.Context, e *Enrolment) (*Identity, error) {
	key := ed25519.NewKeyFromSeed(p.PrivateKey)
	host, _ := os.Hostname()
	secret, mark := wire.SplitCode(p.Code)
	config, seen := e.TLS, []byte(nil)
	if mark != "" { // the code says whom to believe, and nobody else is
		config = marked(secret, mark, &seen)
	}
	q := wire.EnrolRequest{Code: secret, PublicKey: key.Public().(ed25519.PublicKey), Host: host, Agent: e.Version, Till: p.Till}
	answer, err := ask(ctx, p.Server, q, config)
	var refused *EnrolError
	if errors.As(err, &refused) && refused.Final() {
		p.Refused = refused.Error()
		return nil, errors.Join(err, p.save(e.Dir))
	}
	if err != nil {
		return nil, err
	}
	i := &Identity{EnrolAnswer: *answer, PrivateKey: p.PrivateKey, Server: p.Server, Enrolled: e.Now().UTC().Truncate(time.Second)}
	if err := i.settle(seen); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Server, err)
	}
	if err := SaveTrust(e.Dir, i.Root); err != nil {
		return nil, fmt.Errorf("%s: which keys to believe: %w", p.Server, err)
	}
	i.Root = nil // it lives on in the trust file
	if err := i.save(e.Dir); err != nil {
		return nil, fmt.Errorf("store identity: %w", err)
	}
	if err := os.Remove(filepath.Join(e.Dir, PendingFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("forget the code: %w", err)
	}
	return i, nil
}

// settle checks what the centre said of certificates against what was seen on
// the line: the authority that is pinned is the one the code named.
func (i *Identity) settle(seen []byte) error {
	if seen != nil {
		if len(i.Authority) > 0 && !bytes.Equal(seen, i.Authority) {
			return errors.New("the answer names another authority than the certificate")
		}
		i.Authority = seen
	} else {
		i.Authority = nil // by whom we were sent here is not for the answer to say
	}
	if err := loopbackOnly(i.SyncURL); err != nil {
		return err
	}
	if seen != nil && !strings.HasPrefix(i.SyncURL, "wss:") {
		return fmt.Errorf("sync address %q is without TLS", i.SyncURL)
	}
	if len(i.Certificate) == 0 {
		return nil
	}
	_, err := pair(i.Certificate, i.Key())
	return err
}

// ask sends the request and checks the answer.
func ask(ctx context.Context, server string, q wire.EnrolRequest, tlsConfig *tls.Config) (*wire.EnrolAnswer, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server+wire.EnrolPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	host := req.URL.Host
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: tlsConfig, Proxy: http.ProxyFromEnvironment}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	var stranger x509.UnknownAuthorityError
	if errors.As(err, &stranger) {
		return nil, fmt.Errorf("ask %s: %w; type the whole code, whose last group names the centre's own authority, or set centre.ca_file", host, err)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", host, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", host, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		var e wire.ErrorBody
		if json.Unmarshal(b, &e) == nil && e.Error.Code != "" {
			return nil, &EnrolError{e.Error}
		}
		return nil, fmt.Errorf("%s answered %s; is this the centre's address?", host, resp.Status)
	}
	var a wire.EnrolAnswer
	if err := json.Unmarshal(b, &a); err != nil {
		return nil, fmt.Errorf("%s: the answer is not an enrolment: %w", host, err)
	}
	if !wire.ValidDevice(a.Device) || a.Epoch == 0 || len(a.LookupKey) < 16 || a.Store == "" || a.Till == "" || a.SyncURL == "" {
		return nil, fmt.Errorf("%s: the answer lacks something", host)
	}
	if q.Till != "" && q.Till != a.Store+"/"+a.Till {
		return nil, fmt.Errorf("%s made this machine %s/%s, and it was to be %s", host, a.Store, a.Till, q.Till)
	}
	return &a, nil
}
