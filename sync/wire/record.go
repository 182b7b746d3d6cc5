package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// Record is one entry of a till's journal, decoded. Its identity is its
// stored bytes; make them with [Encode] once, when it is written, and never
// again.
type Record struct {
	Device string // "dev-" and 10 characters
	Epoch  uint32 // incarnation of the device, from 1
	Seq    uint64 // place in the journal of (device, epoch), from 1, gapless
	Prev   Hash   // hash of the record at Seq-1; zero at Seq 1
	ID     string // UUIDv7; identifies, never orders
	Type   Type   // what happened

	Wall   time.Time  // the machine's clock, whole milliseconds, UTC; never used to order
	MonoMS int64      // milliseconds since the machine started
	Boot   string     // id of this run of the machine
	Clock  ClockState // how far the till trusts its time

	Bundle  int64           // version of the rulebook in force; 0: none
	Receipt string          // the receipt this belongs to; empty: none
	Payload json.RawMessage // compact JSON object, one of the payload structs
}

// ClockState says how far a till trusts its own idea of the time.
type ClockState string

// Clock states. Good: an estimate from the centre younger than seven days.
// Aged: older than that. Untrusted: the clock went back more than five
// minutes, stands before the program was built, or there is no estimate.
const (
	ClockGood      ClockState = "good"
	ClockAged      ClockState = "aged"
	ClockUntrusted ClockState = "untrusted"
)

const wallLayout = "2006-01-02T15:04:05.000Z"

// Encode makes the canonical bytes of a record: one object, fields in fixed
// order, no white space, payload compact. What Encode writes, [DecodeRecord]
// accepts, and it accepts no other spelling of the same record; so a record
// has one hash.
func Encode(r *Record) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(make([]byte, 0, 420+len(r.Payload)))
	b.WriteString(`{"device":"`)
	b.WriteString(r.Device)
	b.WriteString(`","epoch":`)
	b.Write(strconv.AppendUint(b.AvailableBuffer(), uint64(r.Epoch), 10))
	b.WriteString(`,"seq":`)
	b.Write(strconv.AppendUint(b.AvailableBuffer(), r.Seq, 10))
	b.WriteString(`,"prev":"`)
	b.WriteString(r.Prev.String())
	b.WriteString(`","id":"`)
	b.WriteString(r.ID)
	b.WriteString(`","type":"`)
	b.WriteString(string(r.Type))
	b.WriteString(`","wall":"`)
	b.Write(r.Wall.UTC().AppendFormat(b.AvailableBuffer(), wallLayout))
	b.WriteString(`","mono_ms":`)
	b.Write(strconv.AppendInt(b.AvailableBuffer(), r.MonoMS, 10))
	b.WriteString(`,"boot":"`)
	b.WriteString(r.Boot)
	b.WriteString(`","clock":"`)
	b.WriteString(string(r.Clock))
	b.WriteString(`","bundle":`)
	b.Write(strconv.AppendInt(b.AvailableBuffer(), r.Bundle, 10))
	b.WriteString(`,"receipt":`)
	b.Write(appendJSONString(b.AvailableBuffer(), r.Receipt))
	b.WriteString(`,"payload":`)
	// What encoding/json wrote is compact already; only foreign payloads are
	// written anew.
	if err := checkJSON(r.Payload, MaxDepth-1); err == nil {
		b.Write(r.Payload)
	} else {
		from := b.Len()
		if err := json.Compact(b, r.Payload); err != nil {
			return nil, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
		}
		if err := checkJSON(b.Bytes()[from:], MaxDepth-1); err != nil {
			return nil, fmt.Errorf("payload: %w", err)
		}
	}
	b.WriteByte('}')
	if b.Len() > MaxRecord {
		return nil, fmt.Errorf("record of %d bytes: %w", b.Len(), ErrTooLarge)
	}
	out := b.Bytes()
	return out, nil
}

// check tells whether the header can be written without escaping.
func (r *Record) check() error {
	bad := func(field, v string) error {
		return fmt.Errorf("%w: record %s %q", ErrMalformed, field, clip([]byte(v)))
	}
	switch {
	case !ValidDevice(r.Device):
		return bad("device", r.Device)
	case r.Epoch == 0:
		return bad("epoch", "0")
	case r.Seq == 0:
		return bad("seq", "0")
	case r.Seq == 1 && !r.Prev.IsZero(), r.Seq > 1 && r.Prev.IsZero():
		return bad("prev", r.Prev.String())
	case !validUUID(r.ID):
		return bad("id", r.ID)
	case !r.Type.valid():
		return bad("type", string(r.Type))
	case r.Wall.UTC().Year() < 1970 || r.Wall.UTC().Year() > 9999:
		return bad("wall", r.Wall.String())
	case r.MonoMS < 0:
		return bad("mono_ms", strconv.FormatInt(r.MonoMS, 10))
	case !plain(r.Boot, 1, 64):
		return bad("boot", r.Boot)
	case r.Clock != ClockGood && r.Clock != ClockAged && r.Clock != ClockUntrusted:
		return bad("clock", string(r.Clock))
	case r.Bundle < 0:
		return bad("bundle", strconv.FormatInt(r.Bundle, 10))
	case !validText(r.Receipt, 200):
		return bad("receipt", r.Receipt)
	case len(r.Payload) == 0 || firstByte(r.Payload) != '{':
		return bad("payload", string(r.Payload))
	}
	return nil
}

// DecodeRecord reads the stored bytes of a record. It accepts exactly what
// [Encode] writes. The payload of the result refers to b.
func DecodeRecord(b []byte) (*Record, error) {
	if len(b) > MaxRecord {
		return nil, fmt.Errorf("record of %d bytes: %w", len(b), ErrTooLarge)
	}
	p := parser{b: b}
	r := &Record{}
	p.lit(`{"device":"`)
	r.Device = p.until('"')
	p.lit(`,"epoch":`)
	epoch := p.uint()
	p.lit(`,"seq":`)
	r.Seq = p.uint()
	p.lit(`,"prev":"`)
	prev := p.until('"')
	p.lit(`,"id":"`)
	r.ID = p.until('"')
	p.lit(`,"type":"`)
	r.Type = Type(p.until('"'))
	p.lit(`,"wall":"`)
	wall := p.until('"')
	p.lit(`,"mono_ms":`)
	mono := p.uint()
	p.lit(`,"boot":"`)
	r.Boot = p.until('"')
	p.lit(`,"clock":"`)
	r.Clock = ClockState(p.until('"'))
	p.lit(`,"bundle":`)
	bundle := p.uint()
	p.lit(`,"receipt":`)
	r.Receipt = p.jsonString()
	p.lit(`,"payload":`)
	if p.bad == "" && (len(p.b) < 3 || p.b[len(p.b)-1] != '}') {
		p.bad = "end"
	}
	if p.bad != "" {
		return nil, fmt.Errorf("%w: record at %s", ErrMalformed, p.bad)
	}
	r.Payload = json.RawMessage(p.b[:len(p.b)-1])
	var ok bool
	if r.Prev, ok = parseHash([]byte(prev)); !ok {
		return nil, fmt.Errorf("%w: record prev", ErrMalformed)
	}
	t, err := time.Parse(wallLayout, wall)
	if err != nil || t.Format(wallLayout) != wall {
		return nil, fmt.Errorf("%w: record wall %q", ErrMalformed, clip([]byte(wall)))
	}
	r.Wall = t
	if epoch > 1<<32-1 || mono > 1<<63-1 || bundle > 1<<63-1 {
		return nil, fmt.Errorf("%w: record number out of range", ErrMalformed)
	}
	r.Epoch, r.MonoMS, r.Bundle = uint32(epoch), int64(mono), int64(bundle)
	if err := r.check(); err != nil {
		return nil, err
	}
	if err := checkJSON(r.Payload, MaxDepth-1); err != nil {
		return nil, fmt.Errorf("record payload: %w", err)
	}
	return r, nil
}

// PeekSeq reads device, epoch, seq and prev from the front of stored bytes
// that may not decode otherwise. ok is false when even that cannot be read.
func PeekSeq(b []byte) (device string, epoch uint32, seq uint64, prev Hash, ok bool) {
	p := parser{b: b}
	p.lit(`{"device":"`)
	device = p.until('"')
	p.lit(`,"epoch":`)
	e := p.uint()
	p.lit(`,"seq":`)
	seq = p.uint()
	p.lit(`,"prev":"`)
	prev, ok = parseHash([]byte(p.until('"')))
	return device, uint32(e), seq, prev, ok && p.bad == "" && e <= 1<<32-1
}

// Follows tells whether stored bytes with this decoded head come right after
// prev in the same journal.
func (r *Record) Follows(prev Head) error {
	if r.Seq != prev.Seq+1 {
		return fmt.Errorf("seq %d after %d: %w", r.Seq, prev.Seq, ErrChain)
	}
	if r.Prev != prev.Hash {
		return fmt.Errorf("seq %d does not carry the hash of %d: %w", r.Seq, prev.Seq, ErrChain)
	}
	return nil
}

// parser walks the fixed layout; the first thing that does not fit sticks.
type parser struct {
	b   []byte
	bad string
}

func (p *parser) lit(s string) {
	if p.bad != "" {
		return
	}
	if len(p.b) < len(s) || string(p.b[:len(s)]) != s {
		p.bad = s
		return
	}
	p.b = p.b[len(s):]
}

func (p *parser) until(c byte) string {
	if p.bad != "" {
		return ""
	}
	i := bytes.IndexByte(p.b, c)
	if i < 0 || i > 200 {
		p.bad = "string"
		return ""
	}
	s := string(p.b[:i])
	p.b = p.b[i+1:]
	return s
}

func (p *parser) uint() uint64 {
	if p.bad != "" {
		return 0
	}
	i := 0
	for i < len(p.b) && p.b[i] >= '0' && p.b[i] <= '9' {
		i++
	}
	if i == 0 || i > 20 || (i > 1 && p.b[0] == '0') {
		p.bad = "number"
		return 0
	}
	n, err := strconv.ParseUint(string(p.b[:i]), 10, 64)
	if err != nil {
		p.bad = "number"
		return 0
	}
	p.b = p.b[i:]
	return n
}

// jsonString reads a string that may hold escapes and insists on the one
// spelling that appendJSONString writes.
func (p *parser) jsonString() string {
	if p.bad != "" {
		return ""
	}
	if len(p.b) < 2 || p.b[0] != '"' {
		p.bad = "text"
		return ""
	}
	end := -1
	for i := 1; i < len(p.b) && i < 2000; i++ {
		if p.b[i] == '\\' {
			i++
			continue
		}
		if p.b[i] == '"' {
			end = i + 1
			break
		}
	}
	var s string
	if end < 0 || json.Unmarshal(p.b[:end], &s) != nil || string(appendJSONString(nil, s)) != string(p.b[:end]) {
		p.bad = "text"
		return ""
	}
	p.b = p.b[end:]
	return s
}

// appendJSONString writes s with the fewest escapes: quote and backslash
// only. Control characters are refused before by validText.
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

func validText(s string, max int) bool {
	if len(s) > max || !utf8.ValidString(s) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// plain: letters, digits and a few marks that need no escaping anywhere.
func plain(s string, min, max int) bool {
	if len(s) < min || len(s) > max {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

func firstByte(b []byte) byte {
	for _, c := range b {
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

func validUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := 0; i < 36; i++ {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if unhex(s[i]) > 15 {
				return false
			}
		}
	}
	return true
}
