package keeper

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

// Host is what a till does for the others of its store.
type Host interface {
	// Hold holds points out of this till's own leases. The same hold again has
	// the same answer. It is on disk before it is answered.
	Hold(ctx context.Context, from wire.StoreTill, q wire.KeeperHold) (*wire.KeeperAnswer, error)
	// Void gives a hold back, once; one never seen is remembered as void.
	Void(ctx context.Context, from wire.StoreTill, q wire.KeeperVoid) error
	// Rest is what a member may spend here.
	Rest(ctx context.Context, from wire.StoreTill, q wire.KeeperAsk) (*wire.KeeperAnswer, error)
	// Moves takes in what another till did; those known already change nothing.
	Moves(ctx context.Context, from wire.StoreTill, q wire.StoreMoves) error
}

// mostConns bounds the connections of a store's tills here.
const mostConns = 256

// serve answers the other tills until ctx is done.
func (s *Store) serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	handle(s, mux, "hold", func(ctx context.Context, from wire.StoreTill, q wire.KeeperHold) (any, error) {
		return s.cfg.Host.Hold(ctx, from, q)
	})
	handle(s, mux, "void", func(ctx context.Context, from wire.StoreTill, q wire.KeeperVoid) (any, error) {
		return struct{}{}, s.cfg.Host.Void(ctx, from, q)
	})
	handle(s, mux, "rest", func(ctx context.Context, from wire.StoreTill, q wire.KeeperAsk) (any, error) {
		return s.cfg.Host.Rest(ctx, from, q)
	})
	handle(s, mux, "moves", func(ctx context.Context, from wire.StoreTill, q wire.StoreMoves) (any, error) {
		return struct{}{}, s.cfg.Host.Moves(ctx, from, q)
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug)}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(tls.NewListener(&bounded{Listener: l}, s.tls)) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	_ = srv.Close() // what was in flight was stored or was not; the other end asks again
	<-ended
	return ctx.Err()
}

func handle[Q any](s *Store, mux *http.ServeMux, what string, do func(ctx context.Context, from wire.StoreTill, q Q) (any, error)) {
	mux.HandleFunc("POST /v1/store/"+what, func(w http.ResponseWriter, r *http.Request) {
		// Looked at for every call: a connection outlives a roster.
		from, err := peer(r.TLS, s.cfg.Roster(), s.cfg.Device)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			if port, err := strconv.ParseUint(r.Header.Get(portHeader), 10, 16); err == nil && port > 0 {
				s.heard(net.JoinHostPort(host, strconv.FormatUint(port, 10)))
			}
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MostStoreMessage))
		var q Q
		if err == nil {
			err = json.Unmarshal(body, &q)
		}
		if err != nil {
			http.Error(w, "the message cannot be read", http.StatusBadRequest)
			return
		}
		a, err := do(r.Context(), *from, q)
		if err != nil {
			s.cfg.Log.Error("asked by another till", "what", what, "device", from.Device, "error", err)
			http.Error(w, "this till could not do that now", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a) // a caller that hung up asks again
	})
}

// bounded takes only so many connections at once.
type bounded struct {
	net.Listener
	n atomic.Int64
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if b.n.Add(1) > mostConns {
			b.n.Add(-1)
			c.Close()
			continue
		}
		return &counted{Conn: c, n: &b.n}, nil
	}
}

type counted struct {
	net.Conn
	n    *atomic.Int64
	gone atomic.Bool
}

func (c *counted) Close() error {
	if !c.gone.Swap(true) {
		c.n.Add(-1)
	}
	return c.Conn.Close()
}

// errRefused is an answer that is none.
var errRefused = errors.New("the other till refused")

func refused(status int) error { return fmt.Errorf("%w: status %d", errRefused, status) }
