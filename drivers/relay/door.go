package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// DoorFile, in the data folder, says where a relay takes agents and what they
// must know: two lines, address and secret, for the eyes of the folder's user.
const DoorFile = "relay"

// ErrTaken is returned by Door when another relay works in the folder.
var ErrTaken = errors.New("another relay works in this folder")

// Door opens a way in for agents of one data folder: a Unix socket in the
// folder, on Windows a loopback port. Whoever may read the folder may come in;
// the secret is made anew each time.
func Door(folder string) (l net.Listener, secret string, err error) {
	socket := filepath.Join(folder, "relay.sock")
	if runtime.GOOS == "windows" || len(socket) > 100 { // the systems' limit is 104 to 108
		l, err = net.Listen("tcp", "127.0.0.1:0")
	} else {
		// A socket of a relay that was killed is in the way; one of a relay
		// that works answers.
		if c, e := net.Dial("unix", socket); e == nil {
			c.Close()
			return nil, "", fmt.Errorf("%w: %s", ErrTaken, folder)
		}
		_ = os.Remove(socket)
		if l, err = net.Listen("unix", socket); err == nil {
			err = os.Chmod(socket, 0o600)
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("door for the agent: %w", err)
	}
	secret = rand.Text()
	tmp := filepath.Join(folder, DoorFile+".new")
	text := l.Addr().Network() + ":" + l.Addr().String() + "\n" + secret + "\n"
	_ = os.Remove(tmp)
	if err = os.WriteFile(tmp, []byte(text), 0o600); err == nil {
		err = os.Rename(tmp, filepath.Join(folder, DoorFile))
	}
	if err != nil {
		l.Close()
		return nil, "", fmt.Errorf("door for the agent: %w", err)
	}
	return l, secret, nil
}

// Find attaches to the relay of a data folder.
func Find(ctx context.Context, folder string) (*Client, error) {
	b, err := os.ReadFile(filepath.Join(folder, DoorFile))
	if err != nil {
		return nil, fmt.Errorf("no relay has worked here: %w", err)
	}
	address, secret, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	network, at, ok := strings.Cut(address, ":")
	if !ok || network != "unix" && network != "tcp" {
		return nil, fmt.Errorf("%s holds no address", DoorFile)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, at)
	if err != nil {
		return nil, fmt.Errorf("the relay does not answer: %w", err)
	}
	c, err := Attach(ctx, conn, secret)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}
