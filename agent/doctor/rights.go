package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tillside/tillside/agent"
)

// rights: may we write the data folder, and may nobody else read it?
func rights(_ context.Context, p *Patient) []Finding {
	dir := p.Settings.Data
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{warn("folder_missing", "start the agent once: tillside service start", "%s is not there yet", dir)}
	case err != nil:
		return []Finding{fail("folder_closed", "run this as administrator (root), or as the agent's own user", "%v", err)}
	case !st.IsDir():
		return []Finding{fail("folder_closed", "move the file away, or name another folder under data", "%s is not a folder", dir)}
	}
	var all []Finding
	f, err := os.CreateTemp(dir, "doctor-*")
	if err != nil {
		all = append(all, fail("folder_closed", "give the folder to the agent's user, and look whether the disk is mounted for reading only", "cannot write to %s: %v", dir, err))
	} else {
		f.Close()
		_ = os.Remove(f.Name())
	}
	if runtime.GOOS != "windows" { // there the folder's list of rights decides, and its heirs
		for _, name := range []string{"", agent.IdentityFile, agent.SecretFile, "journal.db", "cache.db"} {
			path := filepath.Join(dir, name)
			if st, err := os.Stat(path); err == nil && st.Mode().Perm()&0o077 != 0 {
				all = append(all, fail("rights_open", "chmod go= "+path, "others may look into %s (%s)", path, st.Mode()))
			}
		}
		if odd := foreign(dir); odd != "" {
			all = append(all, fail("rights_owner", "chown it to the folder's owner: the service runs as that user", "%s belongs to somebody else than its folder", odd))
		}
	}
	if len(all) > 0 {
		return all
	}
	return fine("%s is the agent's alone", dir)
}
