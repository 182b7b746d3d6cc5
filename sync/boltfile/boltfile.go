// Package boltfile opens bbolt files so that a power cut, a second process or
// a flipped bit ends in a plain error, never in a crash loop.
//
// What can go wrong, and what is done about it:
//
//   - A file whose first pages were being written when the power went panics
//     when it is opened again. So a new file is made under another name,
//     filled, synced, closed, given its real name, and the folder is synced:
//     the real name never stands for a half-made file.
//   - bbolt does not sync the folder; a new name can be gone after a power
//     cut. [Open] and [SetAside] sync it.
//   - Waiting for the lock of another process has no end by default. Here it
//     has, and the error is [ErrLocked].
//   - Damage shows as a panic or a memory fault. [Open], [Check] and [Guard]
//     turn both into [ErrDamaged].
//
// bbolt files never shrink; [Options].CompactAbove has a mostly empty one
// written anew when it is opened.
//
// A damaged file is moved aside whole with [SetAside], never deleted.
package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	// ErrLocked is returned when another process has the file open.
	ErrLocked = errors.New("another process has the file open")
	// ErrDamaged is returned when the file cannot be what bbolt wrote.
	ErrDamaged = errors.New("the file is damaged")
)

// Options of [Open]. The zero value is right for a journal.
type Options struct {
	// LockTimeout is how long to wait for another process; 3 s when zero.
	LockTimeout time.Duration
	// MaxSize bounds the file in bytes; 0: unbounded.
	MaxSize int
	// Init fills a new file before it gets its name. It is not called for an
	// existing file.
	Init func(tx *bbolt.Tx) error
	// OpenFile replaces os.OpenFile, for fault tests.
	OpenFile func(string, int, os.FileMode) (*os.File, error)
	// CompactAbove, when not zero, has Open write a file anew that is larger
	// than this and more than half empty. bbolt never gives space back by
	// itself.
	CompactAbove int64
	// ReadOnly opens without writing; a missing file is an error.
	ReadOnly bool
}

func (o Options) bolt() *bbolt.Options {
	b := *bbolt.DefaultOptions
	b.Timeout = o.LockTimeout
	if b.Timeout <= 0 {
		b.Timeout = 3 * time.Second
	}
	b.FreelistType = bbolt.FreelistMapType
	b.MaxSize = o.MaxSize
	b.OpenFile = o.OpenFile
	b.ReadOnly = o.ReadOnly
	return &b
}

// Open opens the file at path, making it first when there is none. File
// rights are 0600, folder rights are the caller's business.
func Open(path string, o Options) (*bbolt.DB, error) {
	switch st, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist) && !o.ReadOnly:
		if err := create(path, o); err != nil {
			return nil, fmt.Errorf("create %s: %w", filepath.Base(path), err)
		}
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("open %s: %w: not a plain file", filepath.Base(path), ErrDamaged)
	case st.Size() == 0:
		// bbolt would begin a new database here, in place, and what was in
		// the file would be forgotten without a word.
		return nil, fmt.Errorf("open %s: %w: it is empty", filepath.Base(path), ErrDamaged)
	}
	var db *bbolt.DB
	err := Guard(func() (err error) {
		db, err = bbolt.Open(path, 0o600, o.bolt())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), typed(err))
	}
	if o.CompactAbove > 0 && !o.ReadOnly {
		removeStale(path)
		if size, free := Space(db); size > o.CompactAbove && free > size/2 {
			return compact(path, db, o)
		}
	}
	return db, nil
}

// Space tells the size of an open file and how much of it is free, in bytes.
func Space(db *bbolt.DB) (size, free int64) {
	_ = db.View(func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
	st := db.Stats()
	return size, int64(st.FreePageN+st.PendingPageN) * int64(db.Info().PageSize)
}

// compact copies what is used into a new file and puts that in the place of
// the old one. A power cut leaves the old file or the new one. When the copy
// fails (no space), the old file is opened as it is.
func compact(path string, db *bbolt.DB, o Options) (*bbolt.DB, error) {
	tmp := tempName(path)
	defer os.Remove(tmp)
	err := Guard(func() error {
		dst, err := bbolt.Open(tmp, 0o600, o.bolt())
		if err != nil {
			return err
		}
		err = bbolt.Compact(dst, db, 4<<20)
		if err == nil {
			err = dst.Sync()
		}
		if e := dst.Close(); err == nil {
			err = e
		}
		return err
	})
	if err != nil {
		return db, nil
	}
	if err := db.Close(); err != nil { // Windows does not rename over an open file
		return nil, fmt.Errorf("compact %s: %w", filepath.Base(path), err)
	}
	if err := Rename(tmp, path); err == nil {
		err = SyncDir(filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("compact %s: %w", filepath.Base(path), err)
		}
	}
	o.CompactAbove = 0
	return Open(path, o)
}

// Rewrite copies what is used of a closed file into a new one and puts that in its
// place, so that nothing is left of what was deleted. A power cut leaves the old
// file or the new one.
func Rewrite(path string, o Options) error {
	o.CompactAbove = 0
	db, err := Open(path, o)
	if err != nil {
		return err
	}
	before, err := os.Stat(path)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	if db, err = compact(path, db, o); err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	after, err := os.Stat(path)
	if err == nil && os.SameFile(before, after) {
		err = fmt.Errorf("rewrite %s: no room for a copy", filepath.Base(path))
	}
	return err
}

func typed(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

const newSuffix = ".new-"

func create(path string, o Options) error {
	removeStale(path)
	tmp := tempName(path)
	defer os.Remove(tmp)
	db, err := bbolt.Open(tmp, 0o600, o.bolt())
	if err != nil {
		return typed(err)
	}
	if o.Init != nil {
		err = db.Update(o.Init)
	}
	if err == nil {
		err = db.Sync()
	}
	if e := db.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	// A link does not replace a file that another process made meanwhile;
	// where the file system has no links, rename must do.
	if err := os.Link(tmp, path); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		if err := Rename(tmp, path); err != nil {
			return err
		}
	}
	return SyncDir(filepath.Dir(path))
}

func tempName(path string) string {
	return path + newSuffix + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
}

// removeStale clears what power cuts left of earlier creations. Young files
// may belong to a process that is at it right now.
func removeStale(path string) {
	old, _ := filepath.Glob(escapeGlob(path) + newSuffix + "*")
	for _, f := range old {
		if st, err := os.Stat(f); err == nil && time.Since(st.ModTime()).Abs() > time.Hour {
			os.Remove(f)
		}
	}
}

func escapeGlob(s string) string {
	if runtime.GOOS == "windows" { // no escaping there, and none of these in paths we use
		return s
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// Guard calls f and turns a panic or a memory fault in it into ErrDamaged:
// that is how bbolt shows a page that cannot be.
func Guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return f()
}

// Check walks every page of the file at path and reports what cannot be. It
// opens the file read-only; nobody else may have it open for writing. A very
// damaged file can still end the process (a stack that never ends), so a
// service runs Check in a child process first.
func Check(path string) error {
	db, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		return err
	}
	err = Guard(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			var first error
			for e := range tx.Check() {
				if first == nil {
					first = fmt.Errorf("%w: %w", ErrDamaged, e)
				}
			}
			return first
		})
	})
	if e := db.Close(); err == nil {
		err = e
	}
	return err
}

// SetAside gives a damaged file another name in the same folder and returns
// it. Nothing is lost; the next Open starts with a new file.
func SetAside(path string, now time.Time) (string, error) {
	to := path + ".damaged-" + now.UTC().Format("20060102T150405")
	for i := 1; ; i++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
		to = path + ".damaged-" + now.UTC().Format("20060102T150405") + "-" + strconv.Itoa(i)
	}
	if err := Rename(path, to); err != nil {
		return "", fmt.Errorf("set aside %s: %w", filepath.Base(path), err)
	}
	return to, SyncDir(filepath.Dir(path))
}

// Rename is os.Rename that gives a virus scanner time to let go of the file
// (Windows): up to about two seconds.
func Rename(from, to string) error {
	var err error
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		if err = os.Rename(from, to); err == nil || runtime.GOOS != "windows" || wait > time.Second {
			return err
		}
		time.Sleep(wait)
	}
}

// SyncDir makes the names in a folder durable. Windows does that by itself
// and has no call for it.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
