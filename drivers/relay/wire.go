package relay

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// The words between relay and agent: one byte of kind, four of length (big
// endian), the content. Bytes of till and printer are raw, the rest is JSON.
//
//	agent -> relay   A  {secret}            first of all
//	                 W  {patterns}          what it wants to be asked about
//	                 G  {at, pass}          let go; with pass, up to that byte, and ask again there
//	                 I  {at, script}        do this, then let go
//	                 E  {at, early}         answer the till in the printer's place
//	relay -> agent   H  {version, at, printer, till}
//	                 T  at(8) bytes         the till sent
//	                 P  kept(1) bytes       the printer sent; kept=1: not shown to the till
//	                 h  {at}                held
//	                 r  {at, why}           let go
//	                 d  {at, done, ok, asked}   a script ended
//	                 s  {printer, till, lost, asking}
const (
	kindAuth     = 'A'
	kindWant     = 'W'
	kindGo       = 'G'
	kindInsert   = 'I'
	kindEarly    = 'E'
	kindHello    = 'H'
	kindTill     = 'T'
	kindPrinter  = 'P'
	kindHeld     = 'h'
	kindReleased = 'r'
	kindDone     = 'd'
	kindState    = 's'
)

// Version of these words. Its history: 1, first form.
const Version = 1

// maxMessage bounds one message.
const maxMessage = 256 << 10

type auth struct {
	Secret string `json:"secret"`
}

type want struct {
	Patterns []Pattern `json:"patterns"`
}

type reply struct {
	At     uint64  `json:"at"`
	Pass   *byte   `json:"pass,omitempty"`
	Script *Script `json:"script,omitempty"`
	Early  *Early  `json:"early,omitempty"`
}

type hello struct {
	Version int    `json:"version"`
	At      uint64 `json:"at"`
	State
}

// State is how the relay's two ends are.
type State struct {
	Printer string `json:"printer"` // "ok", or what is wrong with it
	Till    string `json:"till"`    // "ok", or what is wrong
	Lost    uint64 `json:"lost"`    // bytes of the till for which no printer was there, so far
	Asking  bool   `json:"asking"`  // the agent is asked before closes
}

// Released tells that a held command went on.
type Released struct {
	At  uint64 `json:"at"`
	Why string `json:"why"` // agent, timer, gone
}

// Done tells how a script ended.
type Done struct {
	At    uint64 `json:"at"`
	Steps int    `json:"steps"` // done whole
	OK    bool   `json:"ok"`    // all of them
}

type held struct {
	At uint64 `json:"at"`
}

func encode(kind byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("relay: " + err.Error()) // our own types
	}
	return raw(kind, nil, b)
}

func raw(kind byte, head, b []byte) []byte {
	out := make([]byte, 5, 5+len(head)+len(b))
	out[0] = kind
	binary.BigEndian.PutUint32(out[1:], uint32(len(head)+len(b)))
	return append(append(out, head...), b...)
}

func readMessage(r io.Reader) (kind byte, b []byte, err error) {
	var h [5]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(h[1:])
	if n > maxMessage {
		return 0, nil, fmt.Errorf("a message of %d bytes", n)
	}
	b = make([]byte, n)
	_, err = io.ReadFull(r, b)
	return h[0], b, err
}
