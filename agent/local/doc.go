// Package local is the way to the agent for programs of this machine that is no
// network: a Unix socket on Linux, a named pipe on Windows.
//
// What a loopback port cannot have, these do: the system says who calls, and
// rights on the socket or pipe say who may. No web page reaches them, nothing on
// the network does, and no other program can listen in the agent's place.
//
//	l, err := local.Listen(path, group)       // the agent's side
//	http.Server{ConnContext: local.Context}   // lets handlers ask who calls
//	peer, ok, err := local.PeerOf(r.Context())
//	c, err := local.Dial(ctx, path)           // the other side
//
// A path is a file on Linux and \\.\pipe\NAME on Windows. All of it is safe for
// concurrent use.
package local

import (
	"context"
	"errors"
	"net"
	"net/http"
)

// ErrUnsupported is returned where there is neither of the two.
var ErrUnsupported = errors.New("this system has no local socket the agent knows")

// Peer is who is at the other end.
type Peer struct {
	User string // name, or number when it has none
	// Own is set for the user the agent runs as and for the administrator: whoever
	// can read the agent's files anyway.
	Own bool
	PID int // 0: not known
}

type connKey struct{}

// Context is for [http.Server.ConnContext]: it keeps the connection where PeerOf
// finds it.
func Context(ctx context.Context, c net.Conn) context.Context {
	if p, ok := local(c); ok {
		return context.WithValue(ctx, connKey{}, p)
	}
	return ctx
}

// peered is a connection that knows its other end.
type peered interface{ peer() (Peer, error) }

// PeerOf tells who made a request; ok is false for one that came over TCP.
func PeerOf(ctx context.Context) (p Peer, ok bool, err error) {
	c, ok := ctx.Value(connKey{}).(peered)
	if !ok {
		return Peer{}, false, nil
	}
	p, err = c.peer()
	return p, true, err
}

// Transport is for an HTTP client whose every call goes over the socket, whatever
// host it names.
func Transport(path string) *http.Transport {
	return &http.Transport{Proxy: nil, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, path) }}
}
