package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/tillside/tillside/agent/health"
)

// ErrEnrolled ends the Run of an agent that was not enrolled and has become a
// till: it is to be opened again, with its identity.
var ErrEnrolled = errors.New("enrolled: the agent begins anew as a till")

// Pauses between two tries to enrol; the longest keeps a store whose line
// comes back in the morning from all asking in one second.
const (
	enrolPauseMin = 2 * time.Second
	enrolPauseMax = time.Minute
)

// enrolLater carries out an enrolment that was asked for when the centre could
// not be reached, or is asked for while the agent runs. A refusal by the
// centre is shown and ends the trying, until a person gives another code.
func (a *Agent) enrolLater(ctx context.Context) error {
	wait, told := enrolPauseMin, ""
	tell := func(text string) {
		a.health.Set(true, health.NotEnrolled, "", text)
		if text != told {
			a.log.Info("not enrolled", "reason", text)
			told = text
		}
	}
	for {
		if _, err := os.Stat(filepath.Join(a.dir, IdentityFile)); err == nil {
			return ErrEnrolled // "tillside enrol" was faster
		}
		p, err := LoadPending(a.dir)
		switch {
		case err != nil:
			tell(err.Error())
		case p == nil:
			tell("tillside enrol --server URL --code CODE")
			wait = enrolPauseMin
		case p.Refused != "":
			tell("the centre refused: " + p.Refused)
			wait = enrolPauseMin
		default:
			id, err := p.enrol(ctx, &Enrolment{Dir: a.dir, Version: a.o.Version, TLS: a.creds.tls, Now: a.o.Now})
			if err == nil {
				a.log.Info("enrolled", "device", id.Device, "store", id.Store, "till", id.Till)
				return ErrEnrolled
			}
			if p.Refused == "" {
				tell("enrols as soon as the centre can be reached: " + err.Error())
			}
		}
		if !pause(ctx, wait/2+rand.N(wait/2)) {
			return ctx.Err()
		}
		wait = min(2*wait, enrolPauseMax)
	}
}
