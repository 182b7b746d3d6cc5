package doctor

import (
	"context"
	"os"
	"path/filepath"
)

// disk: is there room, and is the file system one that keeps what it promised?
func disk(_ context.Context, p *Patient) []Finding {
	dir := p.Settings.Data
	if _, err := os.Stat(dir); err != nil { // the folder it will be made in
		dir = filepath.Dir(dir)
	}
	free, kind, err := volume(dir)
	if err != nil {
		return []Finding{warn("disk_unknown", "", "the disk of %s cannot be looked at: %v", p.Settings.Data, err)}
	}
	var all []Finding
	if remote(kind) {
		all = append(all, fail("disk_remote", "put data on a disk of this machine: a network drive may lose what it said was written",
			"%s lies on a network drive (%s)", p.Settings.Data, kind))
	}
	const mib = 1 << 20
	switch least := uint64(p.Settings.Health.MinFreeMB); {
	case free/mib < least:
		all = append(all, fail("disk_low", "make room; until then no points are spent here", "%d MiB are free, %d are wanted", free/mib, least))
	case free/mib < 4*least:
		all = append(all, warn("disk_tight", "make room before it runs out", "%d MiB are free; below %d spending stops", free/mib, least))
	}
	if len(all) > 0 {
		return all
	}
	return fine("%d MiB free on %s", free/mib, kind)
}

// remote tells file systems whose disk is another machine's.
func remote(kind string) bool {
	switch kind {
	case "nfs", "cifs", "smb", "smb2", "9p", "afs", "ceph", "network":
		return true
	}
	return false
}
