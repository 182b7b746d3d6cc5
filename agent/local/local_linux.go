package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// longest path that fits into the system's address of a socket.
const longest = 107

// Listen makes the socket, for its own user and a group, which may be empty. A
// socket that a killed agent left is replaced; one that is in use is not.
func Listen(path, group string) (net.Listener, error) {
	if len(path) > longest {
		return nil, fmt.Errorf("socket %s: the path is longer than %d characters", path, longest)
	}
	if st, err := os.Lstat(path); err == nil {
		if st.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("socket %s: there is a file of that name", path)
		}
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			c.Close()
			return nil, fmt.Errorf("socket %s: another agent listens there", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("socket: %w", err)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	if err := rights(path, group); err != nil {
		l.Close()
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return l, nil
}

// rights: the owner, and the group when one is named. Whoever connected before
// this was of the umask's choosing, but nobody was accepted yet, and every call
// is judged by who makes it.
func rights(path, group string) error {
	if group == "" {
		return os.Chmod(path, 0o600)
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	return errors.Join(os.Chown(path, -1, gid), os.Chmod(path, 0o660))
}

// Dial connects to an agent's socket.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}

type unixConn struct{ *net.UnixConn }

func local(c net.Conn) (peered, bool) {
	u, ok := c.(*net.UnixConn)
	return unixConn{u}, ok
}

func (c unixConn) peer() (Peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	var bad error
	err = raw.Control(func(fd uintptr) { cred, bad = unix.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, bad); err != nil {
		return Peer{}, fmt.Errorf("who calls: %w", err)
	}
	p := Peer{User: strconv.Itoa(int(cred.Uid)), PID: int(cred.Pid), Own: cred.Uid == 0 || int(cred.Uid) == os.Geteuid()}
	if u, err := user.LookupId(p.User); err == nil {
		p.User = u.Username
	}
	return p, nil
}
