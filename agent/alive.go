package agent

import (
	"context"
	"net"
	"net/http"

	"github.com/tillside/tillside/agent/local"
)

// Alive proves that the agent answers and that its journal can be read. It is
// the watchdog's question: an agent that does not answer in time is stuck. Any
// answer is a sign of life; what it says is for others to judge.
func (a *Agent) Alive(ctx context.Context) error {
	host := "localhost"
	if a.listener != nil {
		host = a.listener.Addr().String()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/healthz", nil)
	if err != nil {
		return err
	}
	t := &http.Transport{Proxy: nil, DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if a.listener == nil {
			return local.Dial(ctx, a.socket.Addr().String())
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", host)
	}}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
