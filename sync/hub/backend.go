package hub

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

// Backend is what the hub needs of the centre. All calls may come at once
// from many goroutines, for one device never two Ingest calls at a time.
type Backend interface {
	// Device tells what the centre knows of a device. ErrUnknownDevice when
	// there is none. It is called for every HELLO and after every alarm.
	Device(ctx context.Context, id string) (Device, error)

	// Ingest stores a batch and moves the watermark of the device in ONE
	// transaction, and returns only after that is durable. Records are in
	// order and start right after the watermark the hub knows; when the
	// backend's own watermark is elsewhere (another node was quicker) it
	// stores nothing and returns an error that wraps ErrWatermark.
	//
	// A record that cannot be applied (unknown type, payload that does not
	// decode, a ledger rule) is stored and parked; it is not an error. An
	// error means that nothing of the batch was stored, and the till will
	// send it again. Wrap ErrBusy to slow the till down.
	Ingest(ctx context.Context, b *Batch) (Ingested, error)

	// Alarm notes a fork, clone or rollback durably. For kinds that Stop, the
	// device must be quarantined: Device.State becomes Quarantined.
	Alarm(ctx context.Context, a Alarm) error

	// Feed returns what a lane has for a device after a cursor, at most about
	// maxItems items and maxBytes bytes (one item always). A Feed without
	// items whose Upto is After means: nothing there. Upto may move on
	// without items, when changes were not for this device.
	Feed(ctx context.Context, d Device, lane wire.Lane, after uint64, maxItems, maxBytes int) (*wire.Feed, error)

	// FeedAcked says that the till has a lane up to cursor on its disk.
	FeedAcked(ctx context.Context, d Device, lane wire.Lane, cursor uint64) error

	// Ask answers a question of a till. The context ends when the till stops
	// waiting. The returned value is marshalled as the answer's body; an
	// error that is an *AskError gives its code, any other "internal".
	Ask(ctx context.Context, d Device, what string, body json.RawMessage) (any, error)

	// Presence says that a session began or ended, for the fleet page. It
	// must be quick; errors are the backend's to log.
	Presence(ctx context.Context, p Presence)
}

// EvidenceKeeper is an optional ability of a Backend: to keep the journal of
// a till that forked. Without it such a till is refused.
type EvidenceKeeper interface {
	// KeepEvidence stores records aside, never applying them.
	KeepEvidence(ctx context.Context, d Device, from uint64, records [][]byte, end bool) error
}

// Historian is an optional ability of a Backend: to tell the hash of a record
// it has. With it a repeat of old records with other bytes is found out even
// when the repeat does not reach up to the watermark.
type Historian interface {
	HashAt(ctx context.Context, device string, epoch uint32, seq uint64) (wire.Hash, bool, error)
}

var (
	// ErrUnknownDevice is returned by Backend.Device.
	ErrUnknownDevice = errors.New("unknown device")
	// ErrWatermark is wrapped by Backend.Ingest when the batch does not start
	// right after what is stored.
	ErrWatermark = errors.New("watermark is elsewhere")
	// ErrBusy is wrapped by Backend.Ingest when the till should come back
	// later; see Busy.
	ErrBusy = errors.New("busy")
)

// Busy is ErrBusy with a time.
func Busy(after time.Duration) error { return &busyError{after} }

type busyError struct{ after time.Duration }

func (e *busyError) Error() string { return fmt.Sprintf("busy, again in %s", e.after) }
func (e *busyError) Unwrap() error { return ErrBusy }

// AskError is an answer with a code of wire (AnswerRefused, …).
type AskError struct {
	Code string
	Err  error
}

func (e *AskError) Error() string { return fmt.Sprintf("answer %s: %v", e.Code, e.Err) }
func (e *AskError) Unwrap() error { return e.Err }

// DeviceState says whether a device may speak.
type DeviceState string

// States of a device.
const (
	Active      DeviceState = "active"
	Revoked     DeviceState = "revoked"     // by a person; gets nothing more
	Quarantined DeviceState = "quarantined" // forked; may bring its journal as evidence, nothing else
)

// Device is what the centre knows of a device.
type Device struct {
	ID        string
	Epoch     uint32
	Key       ed25519.PublicKey
	State     DeviceState
	Acked     wire.Head // watermark of this epoch
	SessionNo uint64    // highest session number seen in the device's journal (Batch.SessionNo)
	Store     string
	Till      string
	// What the till should run; zero: no wish.
	WantedBundle int64
	WantedAgent  string
}

// Item is one record of a batch.
type Item struct {
	Seq  uint64
	Hash wire.Hash
	Raw  []byte // exact bytes, to be stored as they are
	// Record is nil when the bytes are no record this program can read: to be
	// stored and parked, with Problem as the reason.
	Record  *wire.Record
	Problem string
}

// Batch is a run of new records of one device, chain and signature verified.
type Batch struct {
	Device Device
	After  wire.Head // watermark the records follow
	Items  []Item
	Last   wire.Head // watermark after the batch
	// SessionNo is the highest number of a SESSION record in the batch, 0 for
	// none; to be stored as Device.SessionNo in the same transaction.
	SessionNo uint64
	// Sig is the device's signature over Last (see wire.VerifyPush).
	Sig      []byte
	Received time.Time
}

// Ingested is the outcome of a batch.
type Ingested struct {
	Parked []wire.Parked // records that were stored and could not be applied
}

// AlarmKind says what was noticed.
type AlarmKind string

// Kinds of alarms.
const (
	AlarmFork     AlarmKind = "fork"     // another hash at a seq the centre has
	AlarmBehind   AlarmKind = "behind"   // the till's journal is shorter than what it once sent
	AlarmSession  AlarmKind = "session"  // an older session number than the journal has shown
	AlarmTwins    AlarmKind = "twins"    // two live sessions of one identity
	AlarmReported AlarmKind = "reported" // the till itself found that it and the centre differ
	AlarmPoison   AlarmKind = "poison"   // a record was parked
)

// Stop tells whether the device must be quarantined.
func (k AlarmKind) Stop() bool { return k != AlarmPoison }

// Alarm is something a person must look at.
type Alarm struct {
	Kind   AlarmKind
	Device string
	Epoch  uint32
	At     time.Time
	Ours   wire.Head // what the centre has
	Theirs wire.Head // what the till showed
	Detail string
	Remote string // network address
}

// Presence is the beginning or the end of a session.
type Presence struct {
	Device    string
	Epoch     uint32
	Online    bool
	At        time.Time
	Remote    string
	SessionNo uint64
	Agent     string // program version of the till
	Boot      string
	Bundle    int64
	Last      wire.Head            // end of the till's journal as it said
	Cursors   map[wire.Lane]uint64 // what the till has of each lane
	ClockSkew time.Duration        // till's clock minus centre's, as far as HELLO tells
	Reason    string               // why it ended
}
