// Package hubtest has a small, honest centre for tests: a [hub.Backend] that
// keeps what it takes in one file, synced before it answers, and can be
// killed and opened again. It books the points of what it applies, so that a
// test can see whether anything was lost or applied twice.
package hubtest

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"

	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/wire"
)

// Points is the payload that the store books: records of any type that carry
// it are applied, EARN of a member by this many points.
type Points struct {
	Member string `json:"member"`
	Points int64  `json:"points"`
	Poison bool   `json:"poison,omitempty"` // cannot be applied: to be parked
}

// Store is the centre's memory. The exported switches may be set before use.
type Store struct {
	// NoSync leaves the file unsynced and LazyWatermark does not write the
	// watermark together with the records: negative controls, each of which
	// must make a model test fail.
	NoSync        bool
	LazyWatermark bool
	// Forget books points and keeps no records, for tests of memory.
	Forget bool
	// Fail, when it returns an error, makes the next Ingest fail before
	// anything is stored.
	Fail func(*hub.Batch) error
	// Asked answers questions; nil refuses them.
	Asked func(d hub.Device, what string, body json.RawMessage) (any, error)

	mu       sync.Mutex
	f        *os.File
	w        *bufio.Writer
	devices  map[string]*hub.Device
	Journal  map[string][][]byte // device/epoch -> stored records in order
	applied  map[place]int       // device/epoch/seq -> times
	balance  map[string]int64    // member -> points
	parked   map[string][]wire.Parked
	alarms   []hub.Alarm
	evidence map[string][][]byte
	feeds    map[wire.Lane][]FeedEntry
	fedAcks  map[string]map[wire.Lane]uint64
	presence []hub.Presence
	dead     bool
}

// FeedEntry is one downstream item; Cursor grows within a lane.
type FeedEntry struct {
	Cursor uint64
	Device string // empty: for all
	Item   json.RawMessage
}

type op struct {
	Device  *hub.Device   `json:"device,omitempty"`
	Batch   *batchOp      `json:"batch,omitempty"`
	Alarm   *hub.Alarm    `json:"alarm,omitempty"`
	Parked  []wire.Parked `json:"parked,omitempty"`
	Records [][]byte      `json:"-"`
	points  []Points
}

type place struct {
	journal string
	seq     uint64
}

type batchOp struct {
	ID      string    `json:"id"`
	Epoch   uint32    `json:"epoch"`
	Last    wire.Head `json:"last"`
	From    uint64    `json:"from"`
	Session uint64    `json:"session"`
	Sizes   []int     `json:"sizes"`
	NoMark  bool      `json:"no_mark,omitempty"`
}

// Open reads the file at path, or makes it. An empty path keeps nothing.
// What was torn off at the end by a kill is cut away.
func Open(path string) (*Store, error) {
	s := &Store{devices: map[string]*hub.Device{}, Journal: map[string][][]byte{}, applied: map[place]int{},
		balance: map[string]int64{}, parked: map[string][]wire.Parked{}, evidence: map[string][][]byte{},
		feeds: map[wire.Lane][]FeedEntry{}, fedAcks: map[string]map[wire.Lane]uint64{}}
	if path == "" {
		return s, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	good := int64(0)
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		o, n, err := readOp(r)
		if err != nil {
			break
		}
		good += n
		s.replay(o)
	}
	if err := f.Truncate(good); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.Seek(good, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	s.f, s.w = f, bufio.NewWriterSize(f, 256<<10)
	return s, nil
}

// Kill drops everything that is not on disk, like SIGKILL.
func (s *Store) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
	if s.f != nil {
		s.f.Close()
	}
}

var errDead = errors.New("the centre was killed")

func readOp(r io.Reader) (*op, int64, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, 0, err
	}
	n, m := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if n > 1<<20 || m > 64<<20 {
		return nil, 0, errors.New("bad length")
	}
	body := make([]byte, n+m)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, 0, err
	}
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(head[8:]) {
		return nil, 0, errors.New("bad sum")
	}
	o := &op{}
	if err := json.Unmarshal(body[:n], o); err != nil {
		return nil, 0, err
	}
	rest := body[n:]
	if o.Batch != nil {
		for _, size := range o.Batch.Sizes {
			o.Records = append(o.Records, rest[:size:size])
			rest = rest[size:]
		}
	}
	return o, int64(len(head) + len(body)), nil
}

// write puts an op on disk and returns after it is there.
func (s *Store) write(o *op) error {
	if s.dead {
		return errDead
	}
	if s.f == nil {
		return nil
	}
	meta, err := json.Marshal(o)
	if err != nil {
		return err
	}
	sum := crc32.ChecksumIEEE(meta)
	size := 0
	for _, r := range o.Records {
		sum = crc32.Update(sum, crc32.IEEETable, r)
		size += len(r)
	}
	var head [12]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(meta)))
	binary.LittleEndian.PutUint32(head[4:], uint32(size))
	binary.LittleEndian.PutUint32(head[8:], sum)
	s.w.Write(head[:])
	s.w.Write(meta)
	for _, r := range o.Records {
		s.w.Write(r)
	}
	if s.NoSync {
		return nil
	}
	if err := s.w.Flush(); err != nil {
		return err
	}
	return s.f.Sync()
}

func journalKey(device string, epoch uint32) string { return fmt.Sprintf("%s/%d", device, epoch) }

// replay applies an op to memory.
func (s *Store) replay(o *op) {
	switch {
	case o.Device != nil:
		d := *o.Device
		s.devices[d.ID] = &d
	case o.Alarm != nil:
		s.alarms = append(s.alarms, *o.Alarm)
		if d := s.devices[o.Alarm.Device]; d != nil && o.Alarm.Kind.Stop() {
			d.State = hub.Quarantined
		}
	case o.Batch != nil:
		b := o.Batch
		d := s.devices[b.ID]
		if d == nil {
			return
		}
		if !b.NoMark {
			d.Acked = b.Last
		}
		d.SessionNo = max(d.SessionNo, b.Session)
		k := journalKey(b.ID, b.Epoch)
		s.parked[b.ID] = append(s.parked[b.ID], o.Parked...)
		bad := map[uint64]bool{}
		for _, p := range o.Parked {
			bad[p.Seq] = true
		}
		for i, raw := range o.Records {
			seq := b.From + uint64(i)
			if s.Forget {
				s.balance[o.points[i].Member] += o.points[i].Points
				continue
			}
			s.Journal[k] = append(s.Journal[k], raw)
			s.applied[place{k, seq}]++
			if bad[seq] {
				continue
			}
			var p Points
			if o.points != nil {
				p = o.points[i]
			} else if r, err := wire.DecodeRecord(raw); err == nil {
				_ = json.Unmarshal(r.Payload, &p)
			}
			if p.Member != "" {
				s.balance[p.Member] += p.Points
			}
		}
	}
}

// Enrol adds or replaces a device.
func (s *Store) Enrol(d hub.Device) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.State == "" {
		d.State = hub.Active
	}
	o := &op{Device: &d}
	if err := s.write(o); err != nil {
		return err
	}
	s.replay(o)
	return nil
}

// Device implements hub.Backend.
func (s *Store) Device(_ context.Context, id string) (hub.Device, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return hub.Device{}, errDead
	}
	d := s.devices[id]
	if d == nil {
		return hub.Device{}, hub.ErrUnknownDevice
	}
	out := *d
	out.Key = ed25519.PublicKey(append([]byte(nil), d.Key...))
	return out, nil
}

// Ingest implements hub.Backend.
func (s *Store) Ingest(_ context.Context, b *hub.Batch) (hub.Ingested, error) {
	if s.Fail != nil {
		if err := s.Fail(b); err != nil {
			return hub.Ingested{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[b.Device.ID]
	if d == nil {
		return hub.Ingested{}, hub.ErrUnknownDevice
	}
	if d.Epoch != b.Device.Epoch || (d.Acked != b.After && !s.LazyWatermark) {
		return hub.Ingested{}, fmt.Errorf("at %d, batch after %d: %w", d.Acked.Seq, b.After.Seq, hub.ErrWatermark)
	}
	o := &op{Batch: &batchOp{ID: d.ID, Epoch: d.Epoch, Last: b.Last, From: b.After.Seq + 1, Session: b.SessionNo, NoMark: s.LazyWatermark}}
	for _, it := range b.Items {
		o.Records = append(o.Records, it.Raw)
		o.Batch.Sizes = append(o.Batch.Sizes, len(it.Raw))
		reason := it.Problem
		var p Points
		if it.Record != nil {
			if !it.Record.Type.Known() {
				reason = "type not known"
			} else if json.Unmarshal(it.Record.Payload, &p) == nil && p.Poison {
				reason = "cannot be applied"
			}
		}
		o.points = append(o.points, p)
		if reason != "" {
			o.Parked = append(o.Parked, wire.Parked{Seq: it.Seq, Reason: reason})
		}
	}
	if len(b.Items) == 0 {
		return hub.Ingested{}, errors.New("empty batch")
	}
	if err := s.write(o); err != nil {
		return hub.Ingested{}, err
	}
	s.replay(o)
	if s.LazyWatermark {
		d.Acked = b.Last // in memory only
	}
	return hub.Ingested{Parked: o.Parked}, nil
}

// Alarm implements hub.Backend.
func (s *Store) Alarm(_ context.Context, a hub.Alarm) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &op{Alarm: &a}
	if err := s.write(o); err != nil {
		return err
	}
	s.replay(o)
	return nil
}

// Put adds an item to a lane and returns its cursor.
func (s *Store) Put(lane wire.Lane, device string, item any) (uint64, error) {
	raw, err := wire.FeedItem(item)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := uint64(len(s.feeds[lane]) + 1)
	s.feeds[lane] = append(s.feeds[lane], FeedEntry{Cursor: n, Device: device, Item: raw})
	return n, nil
}

// Feed implements hub.Backend.
func (s *Store) Feed(_ context.Context, d hub.Device, lane wire.Lane, after uint64, maxItems, maxBytes int) (*wire.Feed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &wire.Feed{Lane: lane, After: after, Upto: after, Includes: wire.Mark{Epoch: d.Epoch, Seq: s.devices[d.ID].Acked.Seq}}
	size := 0
	for _, e := range s.feeds[lane] {
		if e.Cursor <= after {
			continue
		}
		if len(f.Items) >= maxItems || (len(f.Items) > 0 && size+len(e.Item) > maxBytes) {
			f.More = true
			break
		}
		f.Upto = e.Cursor
		if e.Device == "" || e.Device == d.ID {
			f.Items = append(f.Items, e.Item)
			size += len(e.Item)
		}
	}
	return f, nil
}

// FeedAcked implements hub.Backend.
func (s *Store) FeedAcked(_ context.Context, d hub.Device, lane wire.Lane, cursor uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fedAcks[d.ID] == nil {
		s.fedAcks[d.ID] = map[wire.Lane]uint64{}
	}
	s.fedAcks[d.ID][lane] = cursor
	return nil
}

// Ask implements hub.Backend.
func (s *Store) Ask(_ context.Context, d hub.Device, what string, body json.RawMessage) (any, error) {
	if s.Asked == nil {
		return nil, &hub.AskError{Code: wire.AnswerUnknown, Err: fmt.Errorf("question %q", what)}
	}
	return s.Asked(d, what, body)
}

// Presence implements hub.Backend.
func (s *Store) Presence(_ context.Context, p hub.Presence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.presence = append(s.presence, p)
}

// KeepEvidence implements hub.EvidenceKeeper.
func (s *Store) KeepEvidence(_ context.Context, d hub.Device, _ uint64, records [][]byte, _ bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evidence[d.ID] = append(s.evidence[d.ID], records...)
	return nil
}

// HashAt implements hub.Historian.
func (s *Store) HashAt(_ context.Context, device string, epoch uint32, seq uint64) (wire.Hash, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.Journal[journalKey(device, epoch)]
	if seq == 0 || seq > uint64(len(j)) {
		return wire.Hash{}, false, nil
	}
	return wire.HashOf(j[seq-1]), true, nil
}

// Balance is what a member has.
func (s *Store) Balance(member string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.balance[member]
}

// Stored copies the records of one journal.
func (s *Store) Stored(device string, epoch uint32) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]byte(nil), s.Journal[journalKey(device, epoch)]...)
}

// Applied tells how often a record was applied.
func (s *Store) Applied(device string, epoch uint32, seq uint64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied[place{journalKey(device, epoch), seq}]
}

// Alarms lists what was noticed.
func (s *Store) Alarms() []hub.Alarm {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]hub.Alarm(nil), s.alarms...)
}

// Parked lists what could not be applied.
func (s *Store) Parked(device string) []wire.Parked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]wire.Parked(nil), s.parked[device]...)
}

// Evidence is what a forked till brought.
func (s *Store) Evidence(device string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]byte(nil), s.evidence[device]...)
}

// FedUpTo is the cursor a till has confirmed.
func (s *Store) FedUpTo(device string, lane wire.Lane) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fedAcks[device][lane]
}

// Seen lists the beginnings and ends of sessions.
func (s *Store) Seen() []hub.Presence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]hub.Presence(nil), s.presence...)
}
