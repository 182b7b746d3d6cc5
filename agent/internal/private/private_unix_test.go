//go:build unix

package private

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestFileIsWholePrivateAndTheOwners(t *testing.T) {
	dir := t.TempDir()
	owner := os.Geteuid()
	if owner == 0 { // as a technician: the folder is the service's
		owner = 1234
		if err := os.Chown(dir, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "tokens")
	for _, text := range []string{"one", "another"} {
		if err := WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil || string(b) != text || st.Mode().Perm() != 0o600 || int(st.Sys().(*syscall.Stat_t).Uid) != owner {
			t.Errorf("%q %v, mode %v, owner %d", b, err, st.Mode(), st.Sys().(*syscall.Stat_t).Uid)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("left behind: %v %v", list, err)
	}
	if err := WriteFile(filepath.Join(dir, "none", "x"), nil); err == nil {
		t.Error("a folder that is not there")
	}
}
