package installer

import (
	"errors"
	"fmt"
	"time"
)

// recovery is how the service manager of Windows brings the service back: the
// pauses before the first, the second and every further restart.
var recovery = []time.Duration{5 * time.Second, 30 * time.Second, 60 * time.Second}

// recoveryReset is after how long without a failure the first pause holds again.
const recoveryReset = 24 * time.Hour

// registration is what is set at a registered service of Windows beyond what
// the service library sets.
type registration interface {
	// SetRecovery sets the pauses before restarts.
	SetRecovery(pauses []time.Duration, reset time.Duration) error
	// SetRecoveryOnExit lets recovery run after an exit with an error as well,
	// not only after a crash.
	SetRecoveryOnExit(on bool) error
	// AddEventSource makes the service known to the event log.
	AddEventSource() error
}

// complete sets all of it. A part that this system refuses is told and does
// not stop the rest: a service without it is still a service.
func complete(r registration) error {
	var errs []error
	for _, part := range []struct {
		name string
		set  func() error
	}{
		{"recovery", func() error { return r.SetRecovery(recovery, recoveryReset) }},
		{"recovery after an exit", func() error { return r.SetRecoveryOnExit(true) }},
		{"event log", r.AddEventSource},
	} {
		if err := part.set(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", part.name, err))
		}
	}
	return errors.Join(errs...)
}
