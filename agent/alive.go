package agent

import (
	"context"
	"net/http"
)

// Alive proves that the agent answers and that its journal can be read. It is
// the watchdog's question: an agent that does not answer in time is stuck. Any
// answer is a sign of life; what it says is for others to judge.
func (a *Agent) Alive(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.Addr().String()+"/healthz", nil)
	if err != nil {
		return err
	}
	t := &http.Transport{Proxy: nil, DisableKeepAlives: true}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
