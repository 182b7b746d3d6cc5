package uplink

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// Config of a [Session]. Fields without a note may be left zero.
type Config struct {
	URL     string             // ws:// or wss://, required
	Key     ed25519.PrivateKey // the device's, required
	Outbox  *outbox.Box        // required; tells device and epoch
	Applier Applier            // required

	Agent  string       // program version
	Boot   string       // id of this run of the machine
	Bundle func() int64 // rulebook in force

	TLS    *tls.Config                                                       // for wss
	Dial   func(ctx context.Context, network, addr string) (net.Conn, error) // a net.Dialer when nil
	Proxy  func(*http.Request) (*url.URL, error)                             // way out of the shop; as the environment says when nil
	Log    *slog.Logger
	Timing Timing

	// OnState is called after every change of phase and of the queue's being
	// empty or not, from the session's goroutine; it must not block.
	OnState func(State)

	Now    func() time.Time // time.Now; its monotonic part is used for intervals
	Random *rand.Rand       // for jitter and grease
}

// Timing holds every interval. A zero field takes its default.
type Timing struct {
	Ping      time.Duration // between pings, 20 s
	ReadLimit time.Duration // silence after which the connection is dead, 50 s
	Write     time.Duration // one message onto the network, 10 s
	Hello     time.Duration // from dialling to WELCOME, 45 s: with TLS it is nine crossings of a line with 3 s of latency
	RetryMin  time.Duration // first upper bound of the reconnect wait, 1 s
	RetryMax  time.Duration // last upper bound, 5 min
	Ack       time.Duration // between two stores of an ack while more follow, 200 ms
	Clock     time.Duration // between two TIME questions, 10 min
	Feed      time.Duration // before a FEED that could not be applied is asked for again, 30 s
	Answer    time.Duration // for a PUSH to be answered before the session is given up, 2 min
	AskBudget time.Duration // of Ask when its context has no nearer end, 800 ms
}

func (t Timing) withDefaults() Timing {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&t.Ping, 20*time.Second)
	set(&t.ReadLimit, 50*time.Second)
	set(&t.Write, 10*time.Second)
	set(&t.Hello, 45*time.Second)
	set(&t.RetryMin, time.Second)
	set(&t.RetryMax, 5*time.Minute)
	set(&t.Ack, 200*time.Millisecond)
	set(&t.Clock, 10*time.Minute)
	set(&t.Feed, 30*time.Second)
	set(&t.Answer, 2*time.Minute)
	set(&t.AskBudget, 800*time.Millisecond)
	return t
}

func (c *Config) check() error {
	switch {
	case c.Outbox == nil:
		return errors.New("uplink: no outbox")
	case c.Applier == nil:
		return errors.New("uplink: no applier")
	case len(c.Key) != ed25519.PrivateKeySize:
		return errors.New("uplink: no device key")
	}
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" {
		return fmt.Errorf("uplink: address %q is not ws:// or wss://", c.URL)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = wire.SyncPath
		c.URL = u.String()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Proxy == nil {
		c.Proxy = http.ProxyFromEnvironment
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Bundle == nil {
		c.Bundle = func() int64 { return 0 }
	}
	if c.Random == nil {
		c.Random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	c.Timing = c.Timing.withDefaults()
	return nil
}
