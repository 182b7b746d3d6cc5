package drivers

import (
	"context"
	"errors"
	"strings"

	"github.com/tillside/tillside/drivers/line"
)

// Error is what every call on a device returns when it fails.
//
//	var e *drivers.Error
//	errors.As(err, &e)                  // device, act, code, hint
//	errors.Is(err, drivers.PaperOut)    // by code
type Error struct {
	Device string // String() of the device
	Op     string // the act: "print slip", "read status"
	Code   Code
	Err    error  // cause; may be nil
	Hint   string // what a person can do; Code.Hint() when empty
}

// Error says device, act and cause.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Device != "" {
		b.WriteString(e.Device)
		b.WriteString(": ")
	}
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteString(": ")
	}
	b.WriteString(string(e.Code))
	if e.Err != nil && e.Err.Error() != string(e.Code) {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap gives the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// Help is the hint for the person.
func (e *Error) Help() string {
	if e.Hint != "" {
		return e.Hint
	}
	return e.Code.Hint()
}

// Passing tells whether trying again later makes sense.
func (e *Error) Passing() bool { return e.Code.Passing() }

// CodeOf tells the code of any error of a device or a line; "" for nil.
func CodeOf(err error) Code {
	var e *Error
	var c Code
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	case errors.As(err, &c):
		return c
	case errors.Is(err, line.ErrWedged):
		return Wedged
	case errors.Is(err, line.ErrBusy):
		return PortBusy
	case errors.Is(err, line.ErrAccess):
		return NoAccess
	case errors.Is(err, line.ErrClosed):
		return Closed
	case errors.Is(err, line.ErrSettings):
		return BadSettings
	case errors.Is(err, line.ErrAbsent), errors.Is(err, line.ErrUnplugged):
		return Absent
	case errors.Is(err, context.DeadlineExceeded):
		return Silent
	case errors.Is(err, context.Canceled):
		return Closed
	}
	return InternalFault
}
