package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tillside/tillside/agent/store"
)

func TestBallastComesWholeAndGoes(t *testing.T) {
	dir := t.TempDir()
	b := store.OpenBallast(dir)
	if gave, err := b.Drop(); gave || err != nil || b.There() {
		t.Errorf("nothing to give: %v %v", gave, err)
	}
	// Half a ballast, as a power cut leaves one, is none.
	if err := os.WriteFile(filepath.Join(dir, store.BallastFile), make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if b.There() {
		t.Error("a thousand bytes pass for a ballast")
	}
	for range 2 {
		if err := b.Lay(); err != nil || !b.There() {
			t.Fatal(err)
		}
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Errorf("%v %v", list, err)
	}
	if gave, err := b.Drop(); !gave || err != nil || b.There() {
		t.Errorf("%v %v", gave, err)
	}
}
