package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/windows"
)

const pipeBuffer = 64 << 10

// Listen makes the pipe. The system and administrators may do everything, the
// agent's own user and, when named, a group may call; the network may not. The
// first instance must be ours: a pipe of that name that somebody else made is an
// error, not an invitation.
func Listen(path, group string) (net.Listener, error) {
	sd, err := descriptor(group)
	if err != nil {
		return nil, fmt.Errorf("pipe %s: %w", path, err)
	}
	l := &pipeListener{path: path, sd: sd, stop: make(chan struct{})}
	if l.next, err = l.instance(windows.FILE_FLAG_FIRST_PIPE_INSTANCE); err != nil {
		return nil, fmt.Errorf("pipe %s: %w (another agent, or another program with that name)", path, err)
	}
	return l, nil
}

func descriptor(group string) (*windows.SecurityAttributes, error) {
	own, err := ownSID()
	if err != nil {
		return nil, err
	}
	// D:P nothing inherited; deny the network; all for system, administrators
	// and ourselves; reading and writing for the group.
	sddl := "D:P(D;;GA;;;NU)(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;" + own.String() + ")"
	if group != "" {
		sid, _, _, err := windows.LookupSID("", group)
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", group, err)
		}
		sddl += "(A;;GRGW;;;" + sid.String() + ")"
	}
	d, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return nil, err
	}
	return &windows.SecurityAttributes{Length: attributesSize, SecurityDescriptor: d}, nil
}

// attributesSize is the size of SECURITY_ATTRIBUTES: three fields, each aligned to
// a pointer.
const attributesSize = 3 * (32 << (^uintptr(0) >> 63)) / 8

func ownSID() (*windows.SID, error) {
	u, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	return u.User.Sid.Copy()
}

// pipeListener hands out one instance of the pipe after the other.
type pipeListener struct {
	path string
	sd   *windows.SecurityAttributes

	mu      sync.Mutex
	next    windows.Handle // an instance nobody has connected to
	waiting bool           // Accept has it
	closed  bool
	stop    chan struct{}
}

func (l *pipeListener) instance(first uint32) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(l.path)
	if err != nil {
		return 0, err
	}
	return windows.CreateNamedPipe(name, windows.PIPE_ACCESS_DUPLEX|windows.FILE_FLAG_OVERLAPPED|first,
		windows.PIPE_TYPE_BYTE|windows.PIPE_WAIT|windows.PIPE_REJECT_REMOTE_CLIENTS, windows.PIPE_UNLIMITED_INSTANCES, pipeBuffer, pipeBuffer, 0, l.sd)
}

// Accept waits for the next caller.
func (l *pipeListener) Accept() (net.Conn, error) {
	for {
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			return nil, net.ErrClosed
		}
		if l.next == 0 {
			h, err := l.instance(0)
			if err != nil {
				l.mu.Unlock()
				return nil, err
			}
			l.next = h
		}
		h := l.next
		l.waiting = true
		l.mu.Unlock()
		err := l.connect(h)
		l.mu.Lock()
		closed := l.closed
		l.next, l.waiting = 0, false
		l.mu.Unlock()
		if closed {
			windows.CloseHandle(h)
			return nil, net.ErrClosed
		}
		if err != nil { // a caller that came and went
			windows.CloseHandle(h)
			continue
		}
		return newPipe(h, l.path), nil
	}
}

func (l *pipeListener) connect(h windows.Handle) error {
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(event)
	o := &windows.Overlapped{HEvent: event}
	err = windows.ConnectNamedPipe(h, o)
	switch {
	case err == nil, errors.Is(err, windows.ERROR_PIPE_CONNECTED):
		return nil
	case !errors.Is(err, windows.ERROR_IO_PENDING):
		return err
	}
	for {
		// A quarter of a second at a time, so that Close is seen.
		s, err := windows.WaitForSingleObject(event, 250)
		if err != nil {
			return err
		}
		if s == windows.WAIT_OBJECT_0 {
			var n uint32
			return windows.GetOverlappedResult(h, o, &n, false)
		}
		select {
		case <-l.stop:
			_ = windows.CancelIoEx(h, o)
			var n uint32
			_ = windows.GetOverlappedResult(h, o, &n, true)
			return net.ErrClosed
		default:
		}
	}
}

// Close ends Accept; connections go on.
func (l *pipeListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	close(l.stop)
	if l.next != 0 && !l.waiting {
		windows.CloseHandle(l.next)
		l.next = 0
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr(l.path) }

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// pipe is one connection. Reading and writing go through the runtime's poller,
// as the handle is overlapped.
type pipe struct {
	*os.File
	h    windows.Handle
	path string
}

func local(c net.Conn) (peered, bool) {
	p, ok := c.(*pipe)
	return p, ok
}

func newPipe(h windows.Handle, path string) *pipe {
	return &pipe{File: os.NewFile(uintptr(h), path), h: h, path: path}
}

func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	if errors.Is(err, windows.ERROR_BROKEN_PIPE) {
		err = net.ErrClosed
	}
	return n, err
}
func (p *pipe) LocalAddr() net.Addr  { return pipeAddr(p.path) }
func (p *pipe) RemoteAddr() net.Addr { return pipeAddr(p.path) }

var impersonate = windows.NewLazySystemDLL("advapi32.dll").NewProc("ImpersonateNamedPipeClient")

// peer asks the system whose token the caller has. That needs the caller to have
// sent something, and not to have asked to stay anonymous.
func (p *pipe) peer() (Peer, error) {
	runtime.LockOSThread()
	if r, _, err := impersonate.Call(uintptr(p.h)); r == 0 {
		runtime.UnlockOSThread()
		return Peer{}, fmt.Errorf("who calls: %w", err)
	}
	var token windows.Token
	err := windows.OpenThreadToken(windows.CurrentThread(), windows.TOKEN_QUERY, true, &token)
	if e := windows.RevertToSelf(); e != nil {
		// The thread keeps another's rights: it must not be used again.
		return Peer{}, fmt.Errorf("who calls: %w", e)
	}
	runtime.UnlockOSThread()
	if err != nil {
		return Peer{}, fmt.Errorf("who calls: %w", err)
	}
	defer token.Close()
	u, err := token.GetTokenUser()
	if err != nil {
		return Peer{}, fmt.Errorf("who calls: %w", err)
	}
	who := Peer{User: u.User.Sid.String()}
	if account, domain, _, err := u.User.Sid.LookupAccount(""); err == nil {
		who.User = strings.TrimPrefix(domain+`\`+account, `\`)
	}
	var pid uint32
	if windows.GetNamedPipeClientProcessId(p.h, &pid) == nil {
		who.PID = int(pid)
	}
	own, err := ownSID()
	if err != nil {
		return Peer{}, err
	}
	admins, err := windows.CreateWellKnownSid(windows.WinBuiltinAdministratorsSid)
	if err != nil {
		return Peer{}, err
	}
	elevated, _ := token.IsMember(admins) // not elevated is no error
	who.Own = u.User.Sid.Equals(own) || elevated || u.User.Sid.IsWellKnown(windows.WinLocalSystemSid)
	return who, nil
}

// Dial connects to an agent's pipe. The agent learns who we are and cannot act in
// our name.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const identification = 0x00010000 // SECURITY_IDENTIFICATION
	for {
		h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
			windows.FILE_FLAG_OVERLAPPED|windows.SECURITY_SQOS_PRESENT|identification, 0)
		if err == nil {
			return newPipe(h, path), nil
		}
		if !errors.Is(err, windows.ERROR_PIPE_BUSY) {
			return nil, fmt.Errorf("pipe %s: %w", path, err)
		}
		select { // all instances are taken for the moment
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
