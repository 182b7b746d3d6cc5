package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/wire"
)

// memberFormat is the first byte of a stored member.
const memberFormat = 1

var errShort = errors.New("member record is cut short")

// One bit for each optional part of a stored member, in the order they follow.
const (
	hasName = 1 << iota
	hasLanguage
	hasCard
	hasTier
	hasTierDates
	hasWallets
	hasSegments
	hasBirthday
	hasJoined
	hasAttributes
	hasConsents
	hasCounters
	hasStamps
	hasCoupons
	hasLastSeen
	hasReserved
)

// words is a dictionary of the programme's own words. Adding is only allowed
// inside a writing transaction, by the function given.
type words interface {
	number(word string) (uint64, error) // adds it when new
	word(number uint64) (string, error)
}

// appendSnapshot writes a member with the mark of what it includes.
func appendSnapshot(b []byte, s Snapshot, dict words) ([]byte, error) {
	b = binary.AppendUvarint(b, uint64(s.Includes.Epoch))
	b = binary.AppendUvarint(b, s.Includes.Seq)
	return appendMember(b, s.Member, dict)
}

func readSnapshot(b []byte, dict words) (*Snapshot, error) {
	r := reader{b: b}
	s := &Snapshot{Includes: wire.Mark{Epoch: uint32(r.uint()), Seq: r.uint()}}
	if r.err != nil {
		return nil, r.err
	}
	var err error
	s.Member, err = readMember(r.b, dict)
	return s, err
}

// appendMember writes a member. The bytes depend on the member and the
// dictionary alone.
func appendMember(b []byte, m *loyalty.Member, dict words) ([]byte, error) {
	w := writer{b: b, dict: dict}
	var has uint64
	set := func(bit uint64, yes bool) {
		if yes {
			has |= bit
		}
	}
	set(hasName, m.FirstName != "")
	set(hasLanguage, m.Language != "")
	set(hasCard, m.Card.Type != "" || m.Card.Status != "") // whose card it is stands above the record
	set(hasTier, m.Tier != "")
	set(hasTierDates, m.TierSince != "" || m.TierUntil != "")
	set(hasWallets, len(m.Wallets) > 0)
	set(hasSegments, len(m.Segments) > 0)
	set(hasBirthday, m.Birthday != "")
	set(hasJoined, m.Joined != "")
	set(hasAttributes, len(m.Attributes) > 0)
	set(hasConsents, len(m.Consents) > 0)
	set(hasCounters, len(m.Counters) > 0)
	set(hasStamps, len(m.Stamps) > 0)
	set(hasCoupons, len(m.Coupons) > 0)
	set(hasLastSeen, !m.LastSeen.IsZero())
	reserved := 0
	for _, v := range m.Wallets {
		if v.Reserved != 0 || v.ReservedAt != "" {
			reserved++
		}
	}
	set(hasReserved, reserved > 0)

	w.b = append(w.b, memberFormat)
	w.b = binary.BigEndian.AppendUint64(w.b, uint64(m.ID))
	w.uint(has)
	w.time(m.AsOf)
	if has&hasName != 0 {
		w.text(m.FirstName)
	}
	if has&hasLanguage != 0 {
		w.word(m.Language)
	}
	if has&hasCard != 0 {
		w.word(m.Card.Type)
		w.word(m.Card.Status)
	}
	if has&hasTier != 0 {
		w.word(m.Tier)
	}
	if has&hasTierDates != 0 {
		w.day(m.TierSince)
		w.day(m.TierUntil)
	}
	if has&hasWallets != 0 {
		w.uint(uint64(len(m.Wallets)))
		for _, k := range slices.Sorted(maps.Keys(m.Wallets)) {
			v := m.Wallets[k]
			w.word(k)
			w.int(int64(v.Active))
			w.int(int64(v.Pending))
			w.int(int64(v.Expiring))
			w.day(v.Expires)
		}
	}
	if has&hasSegments != 0 {
		w.words(m.Segments)
	}
	if has&hasBirthday != 0 {
		w.text(m.Birthday)
	}
	if has&hasJoined != 0 {
		w.day(m.Joined)
	}
	if has&hasAttributes != 0 {
		w.uint(uint64(len(m.Attributes)))
		for _, k := range slices.Sorted(maps.Keys(m.Attributes)) {
			w.word(k)
			w.text(m.Attributes[k])
		}
	}
	if has&hasConsents != 0 {
		w.words(m.Consents)
	}
	if has&hasCounters != 0 {
		w.uint(uint64(len(m.Counters)))
		for _, k := range slices.Sorted(maps.Keys(m.Counters)) {
			w.counter(k)
			w.uint(uint64(len(m.Counters[k])))
			for _, day := range slices.Sorted(maps.Keys(m.Counters[k])) {
				w.day(day)
				w.int(m.Counters[k][day])
			}
		}
	}
	if has&hasStamps != 0 {
		w.uint(uint64(len(m.Stamps)))
		for _, k := range slices.Sorted(maps.Keys(m.Stamps)) {
			w.word(k)
			w.int(m.Stamps[k])
		}
	}
	if has&hasCoupons != 0 {
		w.uint(uint64(len(m.Coupons)))
		for _, k := range slices.Sorted(maps.Keys(m.Coupons)) {
			c := m.Coupons[k]
			w.text(k)
			w.word(c.Rule)
			w.int(c.Uses)
			w.day(c.From)
			w.day(c.To)
		}
	}
	if has&hasLastSeen != 0 {
		w.time(m.LastSeen)
	}
	if has&hasReserved != 0 {
		w.uint(uint64(reserved))
		for _, k := range slices.Sorted(maps.Keys(m.Wallets)) {
			if v := m.Wallets[k]; v.Reserved != 0 || v.ReservedAt != "" {
				w.word(k)
				w.int(int64(v.Reserved))
				w.word(v.ReservedAt)
			}
		}
	}
	return w.b, w.err
}

// readMember reads what appendMember wrote. The result shares nothing with b.
func readMember(b []byte, dict words) (*loyalty.Member, error) {
	if len(b) < 9 {
		return nil, errShort
	}
	if b[0] != memberFormat {
		return nil, fmt.Errorf("member record of format %d: %w", b[0], ErrFormat)
	}
	m := &loyalty.Member{ID: loyalty.MemberID(binary.BigEndian.Uint64(b[1:]))}
	r := reader{b: b[9:], dict: dict}
	has := r.uint()
	m.AsOf = r.time()
	if has&hasName != 0 {
		m.FirstName = r.text()
	}
	if has&hasLanguage != 0 {
		m.Language = r.word()
	}
	if has&hasCard != 0 {
		m.Card = loyalty.Card{Type: r.word(), Status: r.word()}
	}
	if has&hasTier != 0 {
		m.Tier = r.word()
	}
	if has&hasTierDates != 0 {
		m.TierSince, m.TierUntil = r.day(), r.day()
	}
	if has&hasWallets != 0 {
		n := r.count()
		m.Wallets = make(map[string]loyalty.Balance, n)
		for range n {
			k := r.word()
			m.Wallets[k] = loyalty.Balance{Active: loyalty.Points(r.int()), Pending: loyalty.Points(r.int()),
				Expiring: loyalty.Points(r.int()), Expires: r.day()}
		}
	}
	if has&hasSegments != 0 {
		m.Segments = r.words()
	}
	if has&hasBirthday != 0 {
		m.Birthday = r.text()
	}
	if has&hasJoined != 0 {
		m.Joined = r.day()
	}
	if has&hasAttributes != 0 {
		n := r.count()
		m.Attributes = make(map[string]string, n)
		for range n {
			k := r.word()
			m.Attributes[k] = r.text()
		}
	}
	if has&hasConsents != 0 {
		m.Consents = r.words()
	}
	if has&hasCounters != 0 {
		n := r.count()
		m.Counters = make(map[string]map[string]int64, n)
		for range n {
			k := r.word()
			if loyalty.HasOwn(k) {
				k += r.text()
			}
			days := r.count()
			c := make(map[string]int64, days)
			for range days {
				d := r.day()
				c[d] = r.int()
			}
			m.Counters[k] = c
		}
	}
	if has&hasStamps != 0 {
		n := r.count()
		m.Stamps = make(map[string]int64, n)
		for range n {
			k := r.word()
			m.Stamps[k] = r.int()
		}
	}
	if has&hasCoupons != 0 {
		n := r.count()
		m.Coupons = make(map[string]loyalty.CouponHeld, n)
		for range n {
			k := r.text()
			m.Coupons[k] = loyalty.CouponHeld{Rule: r.word(), Uses: r.int(), From: r.day(), To: r.day()}
		}
	}
	if has&hasLastSeen != 0 {
		m.LastSeen = r.time()
	}
	if has&hasReserved != 0 {
		for range r.count() {
			k := r.word()
			v := m.Wallets[k]
			v.Reserved = loyalty.Points(r.int())
			v.ReservedAt = r.word()
			if m.Wallets != nil {
				m.Wallets[k] = v
			}
		}
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("member record has %d bytes too many", len(r.b))
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

type writer struct {
	b    []byte
	dict words
	err  error
}

func (w *writer) uint(n uint64) { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) int(n int64)   { w.b = binary.AppendVarint(w.b, n) }
func (w *writer) text(s string) { w.uint(uint64(len(s))); w.b = append(w.b, s...) }

func (w *writer) word(s string) {
	if s == "" {
		w.uint(0)
		return
	}
	n, err := w.dict.number(s)
	if err != nil && w.err == nil {
		w.err = err
	}
	w.uint(n)
}

// counter writes a counter's name: a word, and after it as text what is one
// card's or code's own, so that the dictionary does not grow with the cards.
func (w *writer) counter(s string) {
	common, own := loyalty.SplitCounter(s)
	w.word(common)
	if loyalty.HasOwn(common) {
		w.text(own)
	}
}

func (w *writer) words(list []string) {
	w.uint(uint64(len(list)))
	for _, s := range list {
		w.word(s)
	}
}

// day writes YYYY-MM-DD as days since 1970, shifted so that 0 is "none".
func (w *writer) day(s string) {
	if s == "" {
		w.int(0)
		return
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		if w.err == nil {
			w.err = fmt.Errorf("day %q is not YYYY-MM-DD", s)
		}
		return
	}
	n := t.Unix() / 86400
	if n >= 0 {
		n++
	}
	w.int(n)
}

// time writes milliseconds since 1970, 0 for "none".
func (w *writer) time(t time.Time) {
	if t.IsZero() {
		w.int(0)
		return
	}
	w.int(t.UnixMilli())
}

// reader remembers the first error and then gives zeros.
type reader struct {
	b    []byte
	dict words
	err  error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) uint() uint64 {
	n, k := binary.Uvarint(r.b)
	if k <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[k:]
	return n
}

func (r *reader) int() int64 {
	n, k := binary.Varint(r.b)
	if k <= 0 {
		r.fail(errShort)
		return 0
	}
	r.b = r.b[k:]
	return n
}

// count reads a number of things, each of at least one byte.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail(errShort)
		return 0
	}
	return int(n)
}

func (r *reader) text() string {
	n := r.count()
	if r.err != nil {
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) word() string {
	n := r.uint()
	if n == 0 || r.err != nil {
		return ""
	}
	s, err := r.dict.word(n)
	if err != nil {
		r.fail(err)
	}
	return s
}

func (r *reader) words() []string {
	list := make([]string, r.count())
	for i := range list {
		list[i] = r.word()
	}
	return list
}

func (r *reader) day() string {
	n := r.int()
	if n == 0 {
		return ""
	}
	if n > 0 {
		n--
	}
	if n > 3_000_000 || n < -800_000 {
		r.fail(fmt.Errorf("day %d is out of range", n))
		return ""
	}
	return time.Unix(n*86400, 0).UTC().Format(time.DateOnly)
}

func (r *reader) time() time.Time {
	n := r.int()
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}
