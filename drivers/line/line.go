// Package line carries bytes to and from devices: serial ports, USB virtual
// ports, raw TCP, Linux printer files. It is the only importer of
// go.bug.st/serial, and knows what that library and the systems below it do
// not do for us:
//
//   - A serial write has no timeout, and neither closing the port nor emptying
//     its buffers frees a write that the device does not take. So each Port has
//     one writer goroutine; it writes small chunks; whoever waits for it waits
//     with a deadline of his own. When the chunk does not move, the port is
//     called wedged, given up with its goroutine, counted (Abandoned), and a
//     new one is opened when the device is back. No lock is held over a write.
//   - A pulled plug and our own Close give the same error from a read, so a
//     Port keeps a closing flag of its own. A write gives EIO then, and opening
//     again gives a bare "no such file". All of these become the errors below.
//   - One goroutine reads, always, so that a pulled plug is seen at once also
//     when nobody wants bytes. Read time-outs of the library are not relied on
//     (under Wine they never fire, and reads wait for a full buffer: see
//     Settings.ByteReads).
//   - Modem lines do not exist on a pseudo-terminal; DTR and RTS are set where
//     the port has them and forgotten where not.
//   - The system's exclusive open does not hold for root, so an advisory lock
//     of our own on the device file does.
//   - Flow control is off: devices that need it are paced by small chunks and
//     status queries.
//
// Port numbers move when a plug is pulled and put back. An Address may name a
// port (COM3, /dev/ttyS0), a stable link (/dev/serial/by-id/...), a USB device
// (usb:04b8:0202:SERIAL), which is looked up anew at each open, or a TCP
// address (tcp:192.168.1.40:9100).
package line

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Errors of lines. Use errors.Is; the cause is wrapped beside.
var (
	// ErrAbsent: there is no such port or nobody listens there.
	ErrAbsent = errors.New("not there")
	// ErrBusy: another program has the port.
	ErrBusy = errors.New("in use by another program")
	// ErrAccess: this user may not open the port.
	ErrAccess = errors.New("no permission")
	// ErrUnplugged: the open port vanished.
	ErrUnplugged = errors.New("unplugged")
	// ErrWedged: the device takes no bytes; the port was abandoned.
	ErrWedged = errors.New("wedged")
	// ErrClosed: closed by us.
	ErrClosed = errors.New("line closed")
	// ErrSettings: the address or the line settings make no sense.
	ErrSettings = errors.New("wrong line settings")
)

// Raw is an open line without any protection. Read may return (0, nil) for
// "nothing yet"; Close must end a blocked Read.
type Raw interface {
	io.ReadWriteCloser
}

// OpenFunc opens a line. The context bounds the opening only.
type OpenFunc func(ctx context.Context, address string, set Settings) (Raw, error)

// Settings of a line. A zero field means "not said".
type Settings struct {
	Baud     int    `toml:"baud,omitempty" json:"baud,omitempty"`           // bits per second
	DataBits int    `toml:"data_bits,omitempty" json:"data_bits,omitempty"` // 7 or 8
	Parity   string `toml:"parity,omitempty" json:"parity,omitempty"`       // none, even, odd, mark, space
	StopBits int    `toml:"stop_bits,omitempty" json:"stop_bits,omitempty"` // 1 or 2
	// DTR and RTS at open: "on", "off", or "" to leave the system's way (on).
	DTR string `toml:"dtr,omitempty" json:"dtr,omitempty"`
	RTS string `toml:"rts,omitempty" json:"rts,omitempty"`
	// Chunk is the most bytes in one write; 0 means what the wire carries in 50 ms.
	Chunk int `toml:"chunk,omitempty" json:"chunk,omitempty"`
	// PaceMS is a pause after each chunk, for devices with small buffers.
	PaceMS int `toml:"pace_ms,omitempty" json:"pace_ms,omitempty"` // milliseconds
	// StallMS is how long a write may stand still before the port is wedged; 0 means 5 s.
	StallMS int `toml:"stall_ms,omitempty" json:"stall_ms,omitempty"` // milliseconds
	// ByteReads reads one byte at a time. Under Wine it is always so.
	ByteReads bool `toml:"byte_reads,omitempty" json:"byte_reads,omitempty"`
}

// Fill takes from def what s leaves open.
func (s Settings) Fill(def Settings) Settings {
	fill(&s.Baud, def.Baud)
	fill(&s.DataBits, def.DataBits)
	fill(&s.Parity, def.Parity)
	fill(&s.StopBits, def.StopBits)
	fill(&s.DTR, def.DTR)
	fill(&s.RTS, def.RTS)
	fill(&s.Chunk, def.Chunk)
	fill(&s.PaceMS, def.PaceMS)
	fill(&s.StallMS, def.StallMS)
	s.ByteReads = s.ByteReads || def.ByteReads
	return s
}

func fill[T comparable](to *T, from T) {
	var zero T
	if *to == zero {
		*to = from
	}
}

// Check tells all that is wrong with the settings.
func (s Settings) Check() error {
	var errs []error
	bad := func(field string, found any, want string) {
		errs = append(errs, fmt.Errorf("%w: %s: found %v, want %s", ErrSettings, field, found, want))
	}
	if s.Baud < 0 || s.Baud > 4_000_000 {
		bad("baud", s.Baud, "300 to 4000000")
	}
	if s.DataBits != 0 && s.DataBits != 7 && s.DataBits != 8 {
		bad("data_bits", s.DataBits, "7 or 8")
	}
	switch s.Parity {
	case "", "none", "even", "odd", "mark", "space":
	default:
		bad("parity", strconv.Quote(s.Parity), "none, even, odd, mark or space")
	}
	if s.StopBits < 0 || s.StopBits > 2 {
		bad("stop_bits", s.StopBits, "1 or 2")
	}
	for _, f := range []struct{ n, v string }{{"dtr", s.DTR}, {"rts", s.RTS}} {
		if f.v != "" && f.v != "on" && f.v != "off" {
			bad(f.n, strconv.Quote(f.v), "on or off")
		}
	}
	if s.Chunk < 0 || s.PaceMS < 0 || s.StallMS < 0 {
		bad("chunk, pace_ms, stall_ms", "a negative value", "zero or more")
	}
	return errors.Join(errs...)
}

// wire tells how long n bytes take on the wire; 0 for lines without a speed.
func (s Settings) wire(n int) time.Duration {
	if s.Baud <= 0 {
		return 0
	}
	return time.Duration(n) * 10 * time.Second / time.Duration(s.Baud)
}

// WireTime tells how long n bytes take at these settings, 10 bits a byte;
// 9600 baud is assumed when no speed is set.
func (s Settings) WireTime(n int) time.Duration {
	return s.Fill(Settings{Baud: 9600}).wire(n)
}

func (s Settings) chunk() int {
	switch {
	case s.Chunk > 0:
		return s.Chunk
	case s.Baud > 0:
		return max(16, min(1024, s.Baud/200))
	}
	return 1024
}

func (s Settings) stall() time.Duration {
	if s.StallMS > 0 {
		return time.Duration(s.StallMS) * time.Millisecond
	}
	return 5 * time.Second
}

func (s Settings) pace() time.Duration { return time.Duration(s.PaceMS) * time.Millisecond }

// Kind of an address.
type Kind string

// The kinds of addresses.
const (
	Serial Kind = "serial"
	USB    Kind = "usb"
	TCP    Kind = "tcp"
	File   Kind = "file"
)

// Address is a parsed line address.
type Address struct {
	Kind Kind
	// Name is the port name, the file or host:port.
	Name string
	// VID, PID, SerialNumber of a usb address; hexadecimal, lower case.
	VID, PID, SerialNumber string
}

// ParseAddress understands
//
//	COM3, /dev/ttyUSB0, /dev/serial/by-id/...   a serial port by name
//	usb:VID:PID or usb:VID:PID:SERIAL           a serial port of a USB device
//	tcp:HOST:PORT                               a raw TCP stream
//	file:/dev/usb/lp0                           a printer file
func ParseAddress(s string) (Address, error) {
	bad := func(why string) (Address, error) {
		return Address{}, fmt.Errorf("%w: %q: %s", ErrSettings, s, why)
	}
	scheme, rest, has := strings.Cut(s, ":")
	switch {
	case s == "" || strings.ContainsAny(s, "\x00\r\n"):
		return bad("an empty or broken port name")
	case has && scheme == "tcp":
		rest = strings.TrimPrefix(rest, "//")
		host, port, err := net.SplitHostPort(rest)
		if err != nil || host == "" {
			return bad("want tcp:HOST:PORT")
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return bad("the port must be a number from 1 to 65535")
		}
		return Address{Kind: TCP, Name: rest}, nil
	case has && scheme == "usb":
		f := strings.SplitN(rest, ":", 3)
		if len(f) < 2 || !isHex4(f[0]) || !isHex4(f[1]) {
			return bad("want usb:VID:PID or usb:VID:PID:SERIAL with four hexadecimal digits each")
		}
		a := Address{Kind: USB, Name: s, VID: strings.ToLower(f[0]), PID: strings.ToLower(f[1])}
		if len(f) == 3 {
			a.SerialNumber = f[2]
		}
		return a, nil
	case has && scheme == "file":
		if !filepath.IsAbs(rest) && !strings.HasPrefix(rest, "/") {
			return bad("want file:/absolute/path")
		}
		return Address{Kind: File, Name: rest}, nil
	}
	return Address{Kind: Serial, Name: s}, nil
}

func isHex4(s string) bool {
	_, err := strconv.ParseUint(s, 16, 16)
	return err == nil && len(s) == 4
}

// Open opens a line of any kind. Errors wrap the sentinels of this package.
func Open(ctx context.Context, address string, set Settings) (Raw, error) {
	a, err := ParseAddress(address)
	if err != nil {
		return nil, err
	}
	if err := set.Check(); err != nil {
		return nil, err
	}
	switch a.Kind {
	case TCP:
		return openTCP(ctx, a.Name)
	case File:
		return openFile(a.Name)
	case USB:
		name, err := findUSB(a)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", address, err)
		}
		return openSerial(ctx, name, set)
	}
	return openSerial(ctx, a.Name, set)
}

// There tells whether the port of an address exists, as far as that can be
// told without opening it. Known is false where it cannot (TCP, Windows).
func There(address string) (there, known bool) {
	a, err := ParseAddress(address)
	if err != nil {
		return false, false
	}
	switch a.Kind {
	case Serial, File:
		return exists(a.Name)
	case USB:
		_, err := findUSB(a)
		return err == nil, true
	}
	return false, false
}
