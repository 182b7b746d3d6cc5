// Package release keeps the programs that tills may install: the newest list
// that the release keys signed, and the files it names.
//
// The centre cannot make a list: it has no release key. It checks what a person
// gives it as a till would, keeps the files under their hashes in the folder
// programs of its data, and hands both out. Which till takes which program
// stands in the list; a pilot is a list in which a few stores stand first.
package release

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/tillside/tillside/sync/boltfile"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/trust"
)

// ListFile is the signed list inside a release file.
const ListFile = "releases.json"

// ErrNoList is returned for a file without a list in it.
var ErrNoList = errors.New("not a release file: it holds no " + ListFile)

// Folder is where the programs lie in the centre's data folder.
const Folder = "programs"

var hash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// File is the path of a program; false for what is no hash.
func File(dir, sha256 string) (string, bool) {
	return filepath.Join(dir, Folder, sha256), hash.MatchString(sha256)
}

// Newest is the list that tills are given; version 0: none.
func Newest(tx *db.Tx) (version int64, signed []byte, err error) {
	_, err = tx.Row(`SELECT version, signed FROM release ORDER BY version DESC LIMIT 1`, nil, &version, &signed)
	if err != nil {
		return 0, nil, fmt.Errorf("read releases: %w", err)
	}
	return version, signed, nil
}

// Publish takes a release file (a ZIP with the signed list and the programs
// under their hashes), checks it as a till would, keeps its programs in dir and
// the list in the database. Programs that are there already need not be in it.
func Publish(tx *db.Tx, dir, file string, now time.Time) (*trust.Releases, error) {
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(file), err)
	}
	defer z.Close()
	signed, err := List(&z.Reader)
	if err != nil {
		return nil, err
	}
	st, err := keys.State(tx)
	if err != nil {
		return nil, err
	}
	l, err := st.Releases(signed, now)
	if err != nil {
		return nil, err
	}
	have, _, err := Newest(tx)
	if err != nil {
		return nil, err
	}
	if l.Version <= have {
		return nil, fmt.Errorf("list %d, tills have %d: %w", l.Version, have, trust.ErrVersion)
	}
	for i := range l.Programs {
		if err := keep(dir, &l.Programs[i], &z.Reader); err != nil {
			return nil, err
		}
	}
	if err := tx.Exec(`INSERT INTO release (version, signed, added) VALUES (?,?,?)`, l.Version, signed, db.Millis(now)); err != nil {
		return nil, err
	}
	_, err = tx.Next("release", 1)
	return l, err
}

// List reads the signed list of a release file.
func List(z *zip.Reader) ([]byte, error) {
	f, err := z.Open(ListFile)
	if err != nil {
		return nil, ErrNoList
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// keep puts one program into the folder unless it is there.
func keep(dir string, p *trust.Program, z *zip.Reader) error {
	path, _ := File(dir, p.SHA256)
	if f, err := os.Open(path); err == nil {
		err = p.Verify(f)
		f.Close()
		if err == nil {
			return nil
		}
	}
	src, err := z.Open(p.SHA256)
	if err != nil {
		return fmt.Errorf("%s %s for %s/%s is in the list and neither in the file nor here", p.Name, p.Version, p.OS, p.Arch)
	}
	defer src.Close()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = io.Copy(tmp, io.LimitReader(src, p.Size+1))
	if err == nil {
		err = tmp.Sync()
	}
	if err == nil {
		_, err = tmp.Seek(0, io.SeekStart)
	}
	if err == nil {
		err = p.Verify(tmp)
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = boltfile.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("keep %s %s: %w", p.Name, p.Version, err)
	}
	return boltfile.SyncDir(filepath.Dir(path))
}
