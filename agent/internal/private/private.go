// Package private writes small files that only the agent's own user may read:
// identity, tokens, secret, address.
//
// A file appears whole or not at all, also after a power cut. It belongs to
// whoever owns its folder: a technician runs "tillside enrol" and "tillside
// token" as root, and the service, which runs as a user of its own, must be
// able to read what they wrote.
package private

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tillside/tillside/sync/boltfile"
)

// WriteFile writes a file whole: under another name, synced, given to the
// folder's owner, renamed, the folder synced.
func WriteFile(path string, b []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	tmp := f.Name()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = giveTo(tmp, dir)
	}
	if err == nil {
		err = boltfile.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return boltfile.SyncDir(dir)
}
