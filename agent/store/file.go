package store

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// openFile opens a bbolt file with these buckets, making it when it is not
// there. A file that would grow beyond most bytes is refused the space; 0: no
// bound.
func openFile(path string, buckets [][]byte, most int) (*bbolt.DB, error) {
	prepare := func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return nil
	}
	db, err := boltfile.Open(path, boltfile.Options{LockTimeout: lockPatience, Init: prepare, CompactAbove: CompactAbove, MaxSize: most})
	if errors.Is(err, boltfile.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", filepath.Dir(path), ErrInUse)
	}
	if err != nil {
		return nil, err
	}
	err = boltfile.Guard(func() error {
		if missing(db, buckets) { // a file of an older version; spare the write otherwise
			return db.Update(prepare)
		}
		return nil
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("prepare %s: %w", filepath.Base(path), err)
	}
	return db, nil
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
