package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/store/storetest"
)

// TestFullDisk fills a real, small file system: the write that does not fit
// is an error whose outcome is told as unknown, everything before is there,
// and when there is room again work goes on without a restart.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skip("cannot mount a file system here: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	j := storetest.Open(t, dir, &storetest.Clock{})
	body := fmt.Appendf(nil, "%q", bytes.Repeat([]byte("x"), 8000))
	capture := func(id string) error {
		return j.Update(func(tx *store.Tx) error {
			return tx.PutReceipt(&store.Receipt{ID: id, State: store.Captured, Basket: body, Result: body})
		})
	}
	there := func(id string) bool {
		var r *store.Receipt
		if err := j.View(func(tx *store.Tx) (err error) { r, err = tx.Receipt(id); return err }); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		return r != nil
	}
	n := 0
	var err error
	for ; n < 1000; n++ {
		if err = capture(fmt.Sprint("R", n)); err != nil {
			break
		}
	}
	if n < 5 || n == 1000 || !errors.Is(err, store.ErrOutcomeUnknown) {
		t.Fatalf("after %d receipts: %v", n, err)
	}
	for i := range n {
		if !there(fmt.Sprint("R", i)) {
			t.Errorf("R%d was told to be on disk and is not", i)
		}
	}
	if there(fmt.Sprint("R", n)) {
		t.Log("the failed one is there all the same; its caller reads that")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := capture(fmt.Sprint("after", i)); err != nil {
			t.Fatalf("with room again: %v", err)
		}
	}
	if err := j.Box().Verify(); err != nil {
		t.Error(err)
	}
}
