package provision

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tillside/tillside/configs"
)

func TestFirstPlaceWins(t *testing.T) {
	empty, one, two := t.TempDir(), t.TempDir(), t.TempDir()
	for _, dir := range []string{one, two} {
		if err := os.WriteFile(filepath.Join(dir, configs.ProvisionFile), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(empty, configs.ProvisionFile), 0o700); err != nil { // a folder of that name is none
		t.Fatal(err)
	}
	if got, err := Find([]string{filepath.Join(empty, "none"), empty, two, one}); err != nil || got != filepath.Join(two, configs.ProvisionFile) {
		t.Errorf("%q %v", got, err)
	}
	if got, err := Find([]string{empty}); got != "" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	places := Places(empty, filepath.Join(one, "tillside.msi"))
	if len(places) < 2 || places[0] != empty || places[1] != one {
		t.Errorf("%q", places)
	}
}
