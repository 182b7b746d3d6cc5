// Package options reads a driver's settings where they are used.
package options

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tillside/tillside/drivers"
)

// With fills what is not given with the defaults of the settings, as the
// registry does, so that a driver may also be made without one.
func With(settings []drivers.Setting, given drivers.Options) drivers.Options {
	o := drivers.Options{}
	for _, s := range settings {
		if s.Default != "" {
			o[s.Name] = s.Default
		}
	}
	for k, v := range given {
		o[k] = v
	}
	return o
}

// Payments reads payment types such as "cash=1,card=2", numbers from low to
// high.
type Payments struct {
	names     map[string]int
	low, high int
}

// ParsePayments reads the setting.
func ParsePayments(s string, low, high int) (Payments, error) {
	p := Payments{map[string]int{}, low, high}
	for _, part := range strings.Split(s, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(v)
		if !ok || err != nil || n < low || n > high {
			return p, fmt.Errorf("options.payments: %q: want names with numbers from %d to %d, such as cash=%d", part, low, high, low)
		}
		p.names[k] = n
	}
	return p, nil
}

// Number is the number of a payment type: a name of the setting, or a number.
func (p Payments) Number(kind string) (int, error) {
	if n, ok := p.names[kind]; ok {
		return n, nil
	}
	if n, err := strconv.Atoi(kind); err == nil && n >= p.low && n <= p.high {
		return n, nil
	}
	return 0, &drivers.Error{Code: drivers.BadData, Err: fmt.Errorf("payment type %q", kind)}
}
