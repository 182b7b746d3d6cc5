//go:build !linux && !windows

package local

import (
	"context"
	"net"
)

// Listen says that there is none.
func Listen(string, string) (net.Listener, error) { return nil, ErrUnsupported }

// Dial says that there is none.
func Dial(context.Context, string) (net.Conn, error) { return nil, ErrUnsupported }

func local(net.Conn) (peered, bool) { return nil, false }
