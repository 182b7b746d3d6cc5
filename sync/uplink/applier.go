package uplink

import (
	"context"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

// Applier is the till's side of what the uplink brings. The agent implements
// it. Calls come from the session's own goroutine, one at a time.
type Applier interface {
	// Cursors returns the durable cursor of each lane; lanes never fed are 0
	// or absent.
	Cursors(ctx context.Context) (map[wire.Lane]uint64, error)

	// Apply applies the items of a Feed in order and stores f.Upto as the
	// lane's cursor, in one transaction; it returns after the commit. A Feed
	// whose After is not the stored cursor must not be applied unless f.Reset
	// (the uplink checks that too). An error leaves the cursor where it was:
	// the centre is told and sends again later. An item that cannot be used
	// (a bundle with a bad signature) is not an error: note it in the journal
	// and move on.
	Apply(ctx context.Context, f *wire.Feed) error

	// Session writes the SESSION record and returns after its commit. Nothing
	// of the session counts before that.
	Session(ctx context.Context, s wire.SessionStart) error

	// Forked says that the centre's copy and this journal differ: spending
	// must stop until the device is enrolled again. It must be remembered
	// over a restart. It may be called more than once.
	Forked(ctx context.Context, reason string) error
}

// State is what the uplink tells about itself.
type State struct {
	Phase     Phase
	Since     time.Time // of the phase
	Connected time.Time // begin of the running or the last session; zero: never
	LastError string    // of the last attempt; empty while connected
	Attempts  int       // since the last session
	Next      time.Time // next attempt, while waiting
	Queued    uint64    // records the centre does not have yet
	Parked    int       // records it could not apply
	Clock     ClockEstimate
	Central   string // the centre's program version
	Wanted    Wanted
}

// Wanted is what the centre would like the till to run.
type Wanted struct {
	Bundle int64
	Agent  string
}

// Phase is where the uplink stands.
type Phase string

// Phases.
const (
	Stopped    Phase = "stopped"
	Waiting    Phase = "waiting"    // between attempts
	Connecting Phase = "connecting" // dialling, saying hello
	Online     Phase = "online"     // session open: asks are answered
	Refused    Phase = "refused"    // the centre does not want this till; a person is needed
	Forked     Phase = "forked"     // this journal and the centre's differ; a person is needed
)
