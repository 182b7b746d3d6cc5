package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tillside/tillside/sync/boltfile"
)

// BallastFile is the name of the ballast in the data folder.
const BallastFile = "ballast"

// BallastSize is how much the ballast keeps back: room for some thousand
// receipts to be closed.
const BallastSize = 16 << 20

// Ballast is space kept back for the day the disk is full. It is a file that
// says nothing; when a commit fails for want of space it is removed, and what
// was begun can be finished. It is laid down again when there is room.
//
// Where a file of zeros takes no space (a compressing file system), it would
// be no ballast: it is filled with bytes that do not compress.
type Ballast struct{ path string }

// OpenBallast looks after the ballast of a data folder. Nothing is written
// yet.
func OpenBallast(dir string) *Ballast { return &Ballast{filepath.Join(dir, BallastFile)} }

// There tells whether the ballast is laid down.
func (b *Ballast) There() bool {
	st, err := os.Stat(b.path)
	return err == nil && st.Size() == BallastSize
}

// Lay lays the ballast down when it is not there. It comes whole or not at
// all.
func (b *Ballast) Lay() error {
	if b.There() {
		return nil
	}
	tmp := b.path + ".new"
	err := lay(tmp)
	if err == nil {
		err = boltfile.Rename(tmp, b.path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return fmt.Errorf("lay ballast: %w", err)
	}
	return boltfile.SyncDir(filepath.Dir(b.path))
}

func lay(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	x := uint64(0x9e3779b97f4a7c15)
	for left := BallastSize; left > 0 && err == nil; left -= len(buf) {
		for i := range buf {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			buf[i] = byte(x)
		}
		_, err = f.Write(buf)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// Drop gives the space back to the disk and tells whether there was any to
// give.
func (b *Ballast) Drop() (bool, error) {
	err := os.Remove(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
