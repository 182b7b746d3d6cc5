package outbox

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/tillside/tillside/sync/boltfile"
	"github.com/tillside/tillside/sync/wire"
)

// The salvage mirror is a flat copy of the records the centre does not have
// yet, beside the journal. When the journal's file is damaged, [ReadMirror]
// gets them out with nothing but this layout:
//
//	8 bytes   "TSMIRR1\n"
//	then per record:
//	  4 bytes   length, little-endian
//	  4 bytes   CRC-32C of the record, little-endian
//	  record
//
// It is a second chance, not a second truth: it is written after the commit,
// synced every few seconds, and a failure of it never fails a sale.
const (
	mirrorMagic   = "TSMIRR1\n"
	mirrorEntry   = 8
	mirrorTrim    = 64 << 10        // emptied when all is acknowledged and it is larger
	mirrorRewrite = 32 << 20        // written anew when larger and half of it is acknowledged
	mirrorSync    = 5 * time.Second // between two syncs
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type mirror struct {
	box  *Box
	path string
	wg   sync.WaitGroup

	mu      sync.Mutex
	f       *os.File
	size    int64
	first   uint64 // seq of the first record in the file; 0: none
	last    wire.Head
	err     error // the first failure; nothing is written after it
	synced  time.Time
	syncing bool
	ahead   string
}

// openMirror brings the mirror in line with the journal. A mirror that knows
// more than the journal, or something else, is evidence of a journal that was
// set back: it is given another name and kept.
func openMirror(path string, b *Box) (*mirror, error) {
	m := &mirror{box: b, path: path, synced: time.Now()}
	head, err := b.Head()
	if err != nil {
		return m, err
	}
	acked, err := b.Acked()
	if err != nil {
		return m, err
	}
	end, from := int64(0), acked
	good := true
	last := wire.Head{}
	_, damaged, err := ReadMirror(path, func(rec []byte) error {
		r, err := wire.DecodeRecord(rec)
		if err != nil || r.Device != b.id.Device || r.Epoch != b.id.Epoch {
			good = false
			return nil
		}
		if m.first == 0 {
			m.first = r.Seq
		}
		last = wire.Head{Seq: r.Seq, Hash: wire.HashOf(rec)}
		end += mirrorEntry + int64(len(rec))
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, m.renew(acked)
	case err != nil:
		return m, err
	}
	if last.Seq > 0 && good {
		own, err := b.HashAt(last.Seq)
		if errors.Is(err, ErrGone) {
			own, err = last.Hash, nil // old and acknowledged long ago
		}
		good = err == nil && own == last.Hash
	}
	if !good {
		m.ahead = path + ".ahead-" + strconv.FormatInt(time.Now().Unix(), 10)
		if err := boltfile.Rename(path, m.ahead); err != nil {
			return m, fmt.Errorf("keep the old mirror: %w", err)
		}
		return m, m.renew(acked)
	}
	if damaged > 0 || last.Seq == 0 || last.Seq < acked.Seq {
		// Torn by a power cut, empty, or only of records the centre has.
		return m, m.renew(acked)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return m, err
	}
	m.f, m.size, m.last = f, int64(len(mirrorMagic))+end, last
	if err := f.Truncate(m.size); err != nil {
		f.Close()
		m.f = nil
		return m, err
	}
	if last.Seq > from.Seq {
		from = last
	}
	if from.Seq < head.Seq {
		if err := m.fill(from); err != nil {
			f.Close()
			m.f = nil
			return m, err
		}
	}
	return m, nil
}

// renew writes the file anew with all records after the given place.
func (m *mirror) renew(after wire.Head) error {
	tmp := m.path + ".new"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	old := m.f
	m.f, m.size, m.first, m.last = f, 0, 0, after
	err = m.write([]byte(mirrorMagic))
	if err == nil {
		err = m.fill(after)
	}
	if err == nil {
		err = f.Sync()
	}
	if old != nil {
		old.Close() // Windows does not rename over an open file
	}
	if err == nil {
		// The handle stays open over the rename where that is allowed; where
		// it is not, it is closed and opened again.
		f.Close()
		if err = boltfile.Rename(tmp, m.path); err == nil {
			m.f, err = os.OpenFile(m.path, os.O_RDWR, 0o600)
		}
	}
	if err == nil {
		err = boltfile.SyncDir(filepath.Dir(m.path))
	}
	if err != nil {
		f.Close()
		m.f = nil
		os.Remove(tmp)
	}
	return err
}

// fill appends the journal's records after a place.
func (m *mirror) fill(after wire.Head) error {
	for {
		b, err := m.box.Read(after, 500, 4<<20)
		if err != nil {
			return err
		}
		if len(b.Records) == 0 {
			return nil
		}
		var buf []byte
		for _, r := range b.Records {
			buf = appendEntry(buf, r)
		}
		if err := m.write(buf); err != nil {
			return err
		}
		if m.first == 0 {
			m.first = b.From
		}
		m.last, after = b.Last, b.Last
	}
}

func appendEntry(buf, rec []byte) []byte {
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(rec)))
	buf = binary.LittleEndian.AppendUint32(buf, crc32.Checksum(rec, castagnoli))
	return append(buf, rec...)
}

func (m *mirror) write(b []byte) error {
	n, err := m.f.WriteAt(b, m.size)
	m.size += int64(n)
	return err
}

// add is called after the commit of a record, in the caller's goroutine.
func (m *mirror) add(h wire.Head, rec []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil || h.Seq <= m.last.Seq {
		return
	}
	at := m.size
	var err error
	if h.Seq == m.last.Seq+1 {
		err = m.write(appendEntry(nil, rec))
	} else {
		// Two commits came here in the other order.
		err = m.fill(m.last)
	}
	if err != nil {
		m.err = err
		_ = m.f.Truncate(at) // half an entry helps nobody
		return
	}
	if m.first == 0 {
		m.first = h.Seq
	}
	if m.last.Seq < h.Seq {
		m.last = h
	}
	if !m.syncing && time.Since(m.synced) > mirrorSync {
		m.syncing = true
		f := m.f
		m.wg.Go(func() {
			err := f.Sync()
			m.mu.Lock()
			m.syncing, m.synced = false, time.Now()
			if err != nil && m.err == nil && f == m.f {
				m.err = err
			}
			m.mu.Unlock()
		})
	}
}

// acked is called after an acknowledgement is stored. A mirror that failed
// (a full disk) gets another chance here.
func (m *mirror) acked(h wire.Head) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.err != nil, m.size > mirrorRewrite && m.first > 0 && h.Seq > m.first+(m.last.Seq-m.first)/2:
		m.err = m.renew(h)
	case h.Seq >= m.last.Seq && m.size > mirrorTrim:
		if err := m.f.Truncate(int64(len(mirrorMagic))); err != nil {
			m.err = err
			return
		}
		m.size, m.first = int64(len(mirrorMagic)), 0
	}
}

func (m *mirror) close() error {
	m.wg.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.f == nil {
		return nil
	}
	err := m.f.Sync()
	if e := m.f.Close(); err == nil {
		err = e
	}
	m.f = nil
	if m.err == nil {
		m.err = os.ErrClosed
	}
	return err
}

// ReadMirror calls f with every whole record of the mirror at path, in the
// order of writing, and passes over damaged places: it looks for the next
// entry whose checksum fits. good and damaged count records and places. An
// error of f ends it.
func ReadMirror(path string, f func(record []byte) error) (good, damaged int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, wire.MaxRecord+64<<10)
	if head, err := r.Peek(len(mirrorMagic)); err == nil && string(head) == mirrorMagic {
		_, _ = r.Discard(len(mirrorMagic))
	} else {
		damaged++
	}
	lost := false
	for {
		head, err := r.Peek(mirrorEntry)
		if errors.Is(err, io.EOF) {
			if len(head) > 0 && !lost {
				damaged++
			}
			return good, damaged, nil
		}
		if err != nil {
			return good, damaged, err
		}
		n, sum := int(binary.LittleEndian.Uint32(head)), binary.LittleEndian.Uint32(head[4:])
		if n > 0 && n <= wire.MaxRecord {
			entry, err := r.Peek(mirrorEntry + n)
			if err != nil && !errors.Is(err, io.EOF) {
				return good, damaged, err
			}
			if len(entry) == mirrorEntry+n && crc32.Checksum(entry[mirrorEntry:], castagnoli) == sum {
				rec := append([]byte(nil), entry[mirrorEntry:]...)
				_, _ = r.Discard(len(entry))
				good++
				lost = false
				if err := f(rec); err != nil {
					return good, damaged, err
				}
				continue
			}
		}
		if !lost {
			damaged++
			lost = true
		}
		_, _ = r.Discard(1)
	}
}
