package line

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"go.bug.st/serial"
	"go.bug.st/serial/enumerator"
)

type serialPort struct {
	serial.Port
	unlock func()
}

func (s *serialPort) Close() error {
	err := s.Port.Close()
	s.unlock()
	return err
}

func openSerial(_ context.Context, name string, set Settings) (Raw, error) {
	if there, known := exists(name); known && !there {
		return nil, fmt.Errorf("open %s: %w", name, ErrAbsent)
	}
	unlock, err := lock(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	set = set.Fill(Settings{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1})
	mode := &serial.Mode{BaudRate: set.Baud, DataBits: set.DataBits, Parity: parities[set.Parity], StopBits: serial.OneStopBit}
	if set.StopBits == 2 {
		mode.StopBits = serial.TwoStopBits
	}
	if set.DTR != "" || set.RTS != "" {
		mode.InitialStatusBits = &serial.ModemOutputBits{DTR: set.DTR != "off", RTS: set.RTS != "off"}
	}
	port, err := serial.Open(name, mode)
	if err != nil && mode.InitialStatusBits != nil && !errors.Is(classify(err), ErrBusy) {
		// A pseudo-terminal has no modem lines; the wish is not worth the port.
		mode.InitialStatusBits = nil
		port, err = serial.Open(name, mode)
	}
	if err != nil {
		unlock()
		return nil, fmt.Errorf("open %s: %w", name, classify(err))
	}
	// Only to keep the Windows driver from spinning; nothing is built on it.
	if err := port.SetReadTimeout(500 * time.Millisecond); err != nil {
		port.Close()
		unlock()
		return nil, fmt.Errorf("open %s: %w", name, classify(err))
	}
	// What came before we listened is old: a card of then must not greet now.
	_ = port.ResetInputBuffer() // some drivers cannot
	return &serialPort{Port: port, unlock: unlock}, nil
}

var parities = map[string]serial.Parity{
	"": serial.NoParity, "none": serial.NoParity, "even": serial.EvenParity, "odd": serial.OddParity,
	"mark": serial.MarkParity, "space": serial.SpaceParity,
}

// classify turns an error of opening into one of ours.
func classify(err error) error {
	var pe *serial.PortError
	var ne net.Error
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV),
		errors.Is(err, syscall.EIO), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: %w", ErrAbsent, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrAccess, err)
	case errors.Is(err, syscall.EBUSY):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case errors.As(err, &pe):
		switch pe.Code() {
		case serial.PortBusy:
			return fmt.Errorf("%w: %w", ErrBusy, err)
		case serial.PortNotFound, serial.PortClosed:
			return fmt.Errorf("%w: %w", ErrAbsent, err)
		case serial.PermissionDenied:
			return fmt.Errorf("%w: %w", ErrAccess, err)
		case serial.InvalidSpeed, serial.InvalidDataBits, serial.InvalidParity, serial.InvalidStopBits, serial.InvalidTimeoutValue:
			return fmt.Errorf("%w: %w", ErrSettings, err)
		}
	case errors.As(err, &ne):
		return fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	return fmt.Errorf("%w: %w", ErrAbsent, err)
}

// gone turns the error of a line that was open into one of ours.
func gone(err error) error {
	if errors.Is(err, ErrUnplugged) || errors.Is(err, ErrWedged) || errors.Is(err, ErrClosed) {
		return err
	}
	if errors.Is(err, io.EOF) {
		return ErrUnplugged
	}
	return fmt.Errorf("%w: %w", ErrUnplugged, err)
}

func openTCP(ctx context.Context, hostport string) (Raw, error) {
	d := net.Dialer{Timeout: 3 * time.Second, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}}
	c, err := d.DialContext(ctx, "tcp", hostport)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", classify(err))
	}
	return c, nil
}

func openFile(name string) (Raw, error) {
	f, err := os.OpenFile(name, os.O_RDWR|nonblock, 0)
	if err != nil {
		return nil, fmt.Errorf("open: %w", classify(err))
	}
	return f, nil
}

// Info describes a port of this machine.
type Info struct {
	Name    string   `json:"name"`              // what to write in settings if nothing better is there
	Stable  []string `json:"stable,omitempty"`  // names that survive replugging, best first
	USB     bool     `json:"usb"`               // a USB device
	VID     string   `json:"vid,omitempty"`     // lower case
	PID     string   `json:"pid,omitempty"`     // lower case
	Serial  string   `json:"serial,omitempty"`  // the device's number
	Product string   `json:"product,omitempty"` // what it calls itself
}

// Ports lists the serial ports. On Linux that opens every ttyS*, so list only
// when a person asks. Pseudo-terminals are not listed.
func Ports() ([]Info, error) {
	details, err := enumerator.GetDetailedPortsList()
	if err != nil {
		return nil, fmt.Errorf("list ports: %w", err)
	}
	var out []Info
	seen := map[string]bool{}
	for _, d := range details {
		i := Info{Name: d.Name, USB: d.IsUSB, VID: strings.ToLower(d.VID), PID: strings.ToLower(d.PID),
			Serial: d.SerialNumber, Product: d.Product}
		i.Stable = stableNames(i)
		out = append(out, i)
		seen[i.Name] = true
	}
	// Under Wine and some drivers the details are empty while names exist.
	names, err := serial.GetPortsList()
	if err == nil {
		for _, n := range names {
			if !seen[n] {
				i := Info{Name: n}
				i.Stable = stableNames(i)
				out = append(out, i)
			}
		}
	}
	return out, nil
}

func stableNames(i Info) []string {
	var out []string
	if i.USB && i.VID != "" {
		u := "usb:" + i.VID + ":" + i.PID
		if i.Serial != "" {
			u += ":" + i.Serial
		}
		out = append(out, u)
	}
	return append(out, links(i.Name)...)
}

func findUSB(a Address) (string, error) {
	details, err := enumerator.GetDetailedPortsList()
	if err != nil {
		return "", fmt.Errorf("list ports: %w", err)
	}
	var found []string
	for _, d := range details {
		if d.IsUSB && strings.EqualFold(d.VID, a.VID) && strings.EqualFold(d.PID, a.PID) &&
			(a.SerialNumber == "" || d.SerialNumber == a.SerialNumber) {
			found = append(found, d.Name)
		}
	}
	switch len(found) {
	case 0:
		return "", ErrAbsent
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%w: %d ports fit (%s): add the serial number or name the port",
		ErrSettings, len(found), strings.Join(found, ", "))
}
