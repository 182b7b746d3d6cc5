package till

import (
	"crypto/subtle"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/tillside/tillside/agent/local"
)

// SetAddress tells the till where it is reached, once it listens. Only
// requests for exactly these names are answered: a web page whose own name
// was made to point at this machine (DNS rebinding) comes with its own Host.
func (t *Till) SetAddress(addr net.Addr) {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return
	}
	hosts, own := map[string]bool{}, map[string]bool{}
	for _, name := range []string{"127.0.0.1", "localhost", "[::1]"} {
		hosts[name+":"+port] = true
		own["http://"+name+":"+port] = true
		if port == "80" { // browsers leave it out then
			hosts[name] = true
			own["http://"+name] = true
		}
	}
	for _, o := range t.c.Origins {
		own[o] = true
	}
	t.hostMu.Lock()
	defer t.hostMu.Unlock()
	t.hosts, t.own = hosts, own
}

// guard lets nothing through that a web page or another host could send.
//
// The socket is beyond the reach of pages and hosts; a request with an Origin
// that comes over it all the same is somebody's proxy, and is refused.
func (t *Till) guard(r *http.Request) *Error {
	if _, socket, _ := local.PeerOf(r.Context()); socket {
		if _, sent := r.Header["Origin"]; sent {
			return refuse("bad_origin")
		}
		return nil
	}
	t.hostMu.RLock()
	defer t.hostMu.RUnlock()
	if !t.hosts[strings.ToLower(r.Host)] {
		return refuse("bad_host")
	}
	// Browsers send Origin with everything but plain GETs of their own; a
	// cash program sends none. "null" is a sandboxed page or a local file.
	if list, sent := r.Header["Origin"]; sent {
		if len(list) != 1 || !t.own[list[0]] {
			return refuse("bad_origin")
		}
	}
	// Where Origin is left out, newer browsers still say who asks.
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		if _, sent := r.Header["Origin"]; !sent {
			return refuse("bad_origin")
		}
	}
	return nil
}

// caller tells which program makes a request, if it may make this call: by its
// token, or over the socket by the user it runs as. The agent's own user and the
// administrator are the commands of this program; users of the settings need no
// token either.
func (t *Till) caller(r *http.Request, call string) (string, *Error) {
	peer, socket, err := local.PeerOf(r.Context())
	if socket && r.Header.Get("Authorization") == "" {
		switch {
		case err != nil:
			t.c.Log.Warn("caller not known", "error", err)
		case peer.Own:
			return "tillside", nil
		case slices.Contains(t.c.Users, peer.User):
			return "user:" + peer.User, nil
		default:
			t.c.Log.Warn("request refused", "code", "unauthorised", "user", peer.User, "pid", peer.PID)
		}
		return "", refuse("unauthorised")
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok && r.URL.Path == "/v1/events" {
		token = bearerProtocol(r)
		ok = token != ""
	}
	if !ok {
		return "", refuse("unauthorised")
	}
	token = strings.TrimSpace(token)
	if subtle.ConstantTimeCompare([]byte(token), []byte(LocalToken(t.c.TokenKey))) == 1 {
		return "tillside", nil
	}
	name, only, ok, err := t.c.Programs.Who(token)
	if err != nil {
		t.c.Log.Error("tokens cannot be read", "error", err)
	}
	if !ok {
		return "", refuse("unauthorised")
	}
	if only != "" && only != call {
		return "", refuse("not_allowed", name, only)
	}
	return name, nil
}
