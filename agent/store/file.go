package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tillside/tillside/sync/boltfile"
	"go.etcd.io/bbolt"
)

var (
	// ErrInUse is returned when another process holds the files.
	ErrInUse = errors.New("another agent works on this data folder")
	// ErrOutcomeUnknown is wrapped when a commit failed in a way that leaves
	// open whether it is on disk. Read the state before answering.
	ErrOutcomeUnknown = errors.New("outcome of the write is not known")
	// ErrFormat is wrapped when something was written by a newer program.
	ErrFormat = errors.New("written by a newer version of this program")
	// ErrDamaged is wrapped when a file cannot be trusted any more.
	ErrDamaged = boltfile.ErrDamaged
)

// lockPatience is how long Open waits for a process that is just stopping.
const lockPatience = 2 * time.Second

// Free tells, without changing anything, whether an agent could open a file:
// ErrInUse when another process holds it. A file that is not there is free.
func Free(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := boltfile.Open(path, boltfile.Options{ReadOnly: true, LockTimeout: 300 * time.Millisecond})
	switch {
	case errors.Is(err, boltfile.ErrLocked):
		return fmt.Errorf("%s: %w", filepath.Dir(path), ErrInUse)
	case err != nil:
		return err
	}
	return db.Close()
}

// layout is what a file must be like.
type layout struct {
	buckets [][]byte
	format  byte // this program writes
	// migrate brings a file of an older format up to date, before it is marked
	// as new. A file without a mark is of format 1.
	migrate func(tx *bbolt.Tx, from byte) error
	most    int // bytes the file may have; 0: no bound
}

var keyFormat = []byte("format") // in the bucket meta of either file

// openFile opens a bbolt file of a layout, making it when it is not there. A
// file of a newer format is left alone: ErrFormat.
func openFile(path string, l layout) (*bbolt.DB, error) {
	fill := func(tx *bbolt.Tx) error {
		for _, b := range l.buckets {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keyFormat, []byte{l.format})
	}
	db, err := boltfile.Open(path, boltfile.Options{LockTimeout: lockPatience, Init: fill, CompactAbove: CompactAbove, MaxSize: l.most})
	if errors.Is(err, boltfile.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", filepath.Dir(path), ErrInUse)
	}
	if err != nil {
		return nil, err
	}
	err = boltfile.Guard(func() error {
		have := formatOf(db)
		switch {
		case have > l.format:
			return fmt.Errorf("format %d, this program knows %d: %w", have, l.format, ErrFormat)
		case have == l.format && !missing(db, l.buckets): // spare the write
			return nil
		}
		return db.Update(func(tx *bbolt.Tx) error {
			if have < l.format {
				if err := l.migrate(tx, have); err != nil {
					return err
				}
			}
			return fill(tx)
		})
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("prepare %s: %w", filepath.Base(path), err)
	}
	return db, nil
}

func formatOf(db *bbolt.DB) (n byte) {
	n = 1
	_ = db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(bucketMeta); b != nil {
			if v := b.Get(keyFormat); len(v) == 1 {
				n = v[0]
			}
		}
		return nil
	})
	return n
}

func missing(db *bbolt.DB, buckets [][]byte) (yes bool) {
	_ = db.View(func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			yes = yes || tx.Bucket(b) == nil
		}
		return nil
	})
	return yes
}

func be64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
