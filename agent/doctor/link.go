package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/sync/wire"
)

// link: how far does a word from here get? Each stage stands on the one
// before: name, TCP, TLS, HTTP (does the centre answer, or a portal that wants
// a password first?), WebSocket.
func link(ctx context.Context, p *Patient) []Finding {
	if !p.Enrolled {
		return []Finding{fail("not_enrolled", "tillside enrol --server URL --code CODE, with a code from: tillside-central till add", "this till does not belong to a centre yet")}
	}
	u, err := url.Parse(p.SyncURL)
	if err != nil || u.Host == "" {
		return []Finding{fail("link_address", "set centre.url in the settings, or enrol again", "the centre's address %q is none", p.SyncURL)}
	}
	var all []Finding
	for _, stage := range []func(context.Context, *Patient, *url.URL) *Finding{name, tcp, encrypted, answers, session} {
		within, cancel := context.WithTimeout(ctx, 8*time.Second)
		f := stage(within, p, u)
		cancel()
		if f != nil {
			return append(all, *f)
		}
	}
	if s := p.status; s != nil {
		for _, w := range s.Warnings {
			if w.Code == "link_refused" {
				return append(all, fail("link_refused", "central IT sees why on the page \"Tills\"; a clone or an old image is enrolled again", "the centre refuses this till: %s", w.Text))
			}
		}
		if s.Mode != "online" {
			return append(all, warn("link_down", "it should come back within five minutes; else: tillside service restart", "the centre can be reached, but the agent is offline since %s: %s", s.Link.Since.Local().Format(time.DateTime), s.Link.LastError))
		}
	}
	return fine("%s answers and takes sessions", u.Host)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "wss":
		return "443"
	}
	return "80"
}

func name(ctx context.Context, _ *Patient, u *url.URL) *Finding {
	if net.ParseIP(u.Hostname()) != nil {
		return nil
	}
	if _, err := net.DefaultResolver.LookupHost(ctx, u.Hostname()); err != nil {
		f := fail("link_name", "look at cable and network settings of the machine, and whether the name is right", "nobody knows the name %s: %v", u.Hostname(), err)
		return &f
	}
	return nil
}

// via is the proxy for an address; nil: none.
func via(u *url.URL) *url.URL {
	scheme := strings.Replace(u.Scheme, "ws", "http", 1)
	proxy, _ := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: scheme, Host: u.Host}})
	return proxy
}

func tcp(ctx context.Context, _ *Patient, u *url.URL) *Finding {
	host, what := net.JoinHostPort(u.Hostname(), port(u)), "the centre"
	if proxy := via(u); proxy != nil {
		host, what = proxy.Host, "the proxy"
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err == nil {
		c.Close()
		return nil
	}
	do := "a firewall lets nothing through, or the network is down"
	if errors.Is(err, errRefused) {
		do = "nobody listens there: is the centre running, and is the port right?"
	}
	f := fail("link_tcp", do, "%s cannot be reached: %v", what, err)
	return &f
}

func encrypted(ctx context.Context, p *Patient, u *url.URL) *Finding {
	if u.Scheme != "wss" || via(u) != nil { // through a proxy the next stage tells
		return nil
	}
	d := tls.Dialer{Config: p.tls(u)}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port(u)))
	if err == nil {
		c.Close()
		return nil
	}
	f := tlsTrouble(err)
	return &f
}

func (p *Patient) tls(u *url.URL) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if p.TLS != nil {
		c = p.TLS.Clone()
	}
	if c.ServerName == "" {
		c.ServerName = u.Hostname()
	}
	c.NextProtos = []string{"http/1.1"}
	return c
}

func tlsTrouble(err error) Finding {
	var dated x509.CertificateInvalidError
	switch {
	case errors.As(err, &dated) && dated.Reason == x509.Expired:
		return fail("link_tls", "look at this machine's clock first, then at the centre's certificate", "the centre's certificate is not valid now: %v", err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fail("link_tls", "something in between swallows encrypted connections: ask who looks after the firewall", "no answer to the first word of TLS: %v", err)
	}
	return fail("link_tls", "a proxy or virus scanner that opens encrypted connections must leave this one alone; or the till was enrolled with another centre", "the encrypted connection is not with this till's centre: %v", err)
}

// answers asks the centre's own page of health.
func answers(ctx context.Context, p *Patient, u *url.URL) *Finding {
	at := *u
	at.Scheme, at.Path, at.RawQuery = strings.Replace(u.Scheme, "ws", "http", 1), "/healthz", ""
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		f := fail("link_address", "set centre.url in the settings, or enrol again", "%v", err)
		return &f
	}
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: p.tls(u), Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	asked := p.now()
	resp, err := client.Do(req)
	if err != nil {
		if u.Scheme == "wss" {
			f := tlsTrouble(err)
			return &f
		}
		f := fail("link_http", "something else than the centre listens there", "no answer: %v", err)
		return &f
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	said := strings.TrimSpace(string(body))
	switch {
	case resp.StatusCode == http.StatusServiceUnavailable && !strings.Contains(said, "<"):
		f := fail("centre_unwell", "central IT: look at its log and disk", "the centre answers %s: %.200s", resp.Status, said)
		return &f
	case resp.StatusCode != http.StatusOK || said != "ok":
		f := fail("link_portal", "open any page in a browser on this network: a portal wants a password or an acceptance; or a proxy answers instead",
			"something answers that is not the centre: %s, %.80q", resp.Status, body)
		return &f
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		p.heard = date.Add(p.now().Sub(asked) / 2)
	}
	return nil
}

// session opens a session as far as the centre's first word.
func session(ctx context.Context, p *Patient, u *url.URL) *Finding {
	d := websocket.Dialer{Proxy: http.ProxyFromEnvironment, TLSClientConfig: p.tls(u), Subprotocols: []string{wire.Subprotocol}}
	ws, resp, err := d.DialContext(ctx, u.String(), nil)
	if err != nil {
		why := err.Error()
		if resp != nil {
			why = fmt.Sprintf("%v (%s)", err, resp.Status)
			if resp.StatusCode == http.StatusServiceUnavailable {
				f := warn("centre_busy", "it takes tills one after the other; nothing to do", "the centre has its hands full")
				return &f
			}
		}
		f := fail("link_websocket", "a proxy on the way must let WebSocket (HTTP Upgrade) through", "the centre answers, but no session begins: %s", why)
		return &f
	}
	defer ws.Close()
	ws.SetReadLimit(64 << 10)
	_ = ws.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, word, err := ws.ReadMessage()
	if err == nil {
		if f, e := wire.DecodeFrame(word, false); e == nil {
			if _, ok := f.(*wire.Challenge); ok {
				return nil
			}
		}
		err = fmt.Errorf("it begins with %.60q", word)
	}
	f := fail("link_websocket", "something on the way changes what is sent, or another service has that address", "the session does not begin as a centre's: %v", err)
	return &f
}
