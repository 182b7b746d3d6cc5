package wire

import "errors"

// Limits of one message. Whoever receives checks them before it allocates.
const (
	MaxMessage  = 1 << 20   // bytes of one websocket message on the wire
	MaxInflated = 8 << 20   // bytes of one packed message after decompression
	MaxUp       = 1 << 20   // of these, what a till may send
	MaxRecord   = 768 << 10 // bytes of one record
	MaxItem     = 6 << 20   // bytes of one downstream item (a large rulebook)
	MaxDepth    = 32        // nesting of JSON in records, frames and items

	BatchRecords = 100       // records in one PUSH at most
	BatchBytes   = 256 << 10 // raw bytes in one PUSH, unless one record alone is larger
	MaxItems     = 10_000    // items in one FEED at most
	Window       = 4         // PUSH messages without an answer at most
)

var (
	// ErrMalformed is wrapped by every decoder of this package when bytes are
	// not what the protocol says. It is permanent: the same bytes will never
	// be accepted.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge is returned when a limit of this package is exceeded.
	ErrTooLarge = errors.New("too large")
	// ErrSignature is returned when a signature does not fit, its key is not
	// known, or a signed thing lacks one.
	ErrSignature = errors.New("signature does not verify")
	// ErrChain is returned when a record does not follow the one before it.
	ErrChain = errors.New("hash chain broken")
)
