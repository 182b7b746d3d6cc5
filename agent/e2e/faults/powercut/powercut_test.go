package powercut_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/agent/e2e/faults/powercut"
	"github.com/tillside/tillside/sync/boltfile"
)

// mounted makes a disk visible in a folder until the test ends, or skips.
func mounted(t *testing.T) (*powercut.Disk, string) {
	t.Helper()
	d, err := powercut.NewDisk("")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unmount, err := d.Mount(dir)
	if errors.Is(err, powercut.ErrNoFUSE) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	})
	return d, dir
}

// shell runs commands in the folder: another process than ours.
func shell(t *testing.T, dir, script string) {
	t.Helper()
	// The shell goes there by itself: were it to start there, our process would
	// wait for the disk while the disk waits for our process.
	cmd := exec.Command("sh", "-ec", "cd "+dir+"\n"+script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestWhatACutMayTake(t *testing.T) {
	d, dir := mounted(t)
	shell(t, dir, `
		dd if=/dev/zero of=a bs=512 count=8 conv=fsync 2>/dev/null
		sync .
		tr '\0' x </dev/zero | dd of=a bs=512 count=8 conv=notrunc iflag=fullblock 2>/dev/null
		mv a b`)
	h := d.History()
	r := h.Replay(1)
	for r.Step() {
	}
	if f := r.Image(1).Files(); !bytes.Equal(f["b"], bytes.Repeat([]byte("x"), 4096)) || len(f) != 1 {
		t.Errorf("nothing is lost with seed 1: %d files", len(f))
	}
	if f := r.Image(0).Files(); !bytes.Equal(f["a"], make([]byte, 4096)) || len(f) != 1 {
		t.Errorf("all that may be lost is lost with seed 0: %d files", len(f))
	}
	torn, names := 0, map[string]int{}
	for seed := uint64(2); seed < 200; seed++ {
		for name, data := range r.Image(seed).Files() {
			names[name]++
			xs := 0
			for s := 0; s < len(data); s += 512 {
				switch {
				case bytes.Equal(data[s:s+512], bytes.Repeat([]byte("x"), 512)):
					xs++
				case !bytes.Equal(data[s:s+512], make([]byte, 512)):
					t.Fatalf("seed %d: a sector is neither old nor new", seed)
				}
			}
			if xs > 0 && xs < 8 {
				torn++
			}
		}
	}
	if torn < 100 || names["a"] < 40 || names["b"] < 40 {
		t.Errorf("%d torn files, names %v", torn, names)
	}
	if again := r.Image(7).Files(); !bytes.Equal(again["a"], r.Image(7).Files()["a"]) {
		t.Error("one seed, two outcomes")
	}
}

// TestRealRenameIsWhole: the usual way to replace a file keeps either whole.
func TestRealRenameIsWhole(t *testing.T) {
	d, dir := mounted(t)
	shell(t, dir, `
		printf 'old old old old' | dd of=f conv=fsync 2>/dev/null; sync .
		printf 'the new one, longer' | dd of=f.new conv=fsync 2>/dev/null
		mv f.new f; sync .`)
	h := d.History()
	whole := func(h *powercut.History) (broken int) {
		r := h.Replay(1)
		began := false
		for r.Step() {
			for seed := range uint64(20) {
				f := string(r.Image(seed).Files()["f"])
				began = began || f == "old old old old" && r.Settled()
				if began && f != "old old old old" && f != "the new one, longer" {
					broken++
				}
			}
		}
		return broken
	}
	if n := whole(h); n > 0 {
		t.Errorf("%d broken files", n)
	}
}

func TestFaultsAndSpace(t *testing.T) {
	d, dir := mounted(t)
	file := filepath.Join(dir, "f")
	shell(t, dir, "printf hello >f; mkdir sub; ln f sub/g; rm sub/g; rmdir sub")
	d.SetFault(func(c powercut.Call) syscall.Errno {
		if c.Kind == powercut.Sync {
			return syscall.EIO
		}
		return 0
	})
	out, err := exec.Command("dd", "if=/dev/zero", "of="+file, "bs=4096", "count=1", "conv=notrunc,fsync").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("Input/output error")) {
		t.Errorf("%v %s", err, out)
	}
	if d.Calls() == 0 || d.History().Count(powercut.SyncFailed) != 1 {
		t.Errorf("%d calls, %d failed fsyncs", d.Calls(), d.History().Count(powercut.SyncFailed))
	}
	d.SetFault(nil)
	d.Fill()
	if out, err := exec.Command("dd", "if=/dev/zero", "of="+file, "bs=4096", "count=1", "conv=notrunc").CombinedOutput(); err != nil {
		t.Errorf("overwriting needs no space: %v %s", err, out)
	}
	out, err = exec.Command("dd", "if=/dev/zero", "of="+file, "bs=4096", "count=3").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("No space left")) {
		t.Errorf("%v %s", err, out)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil || st.Bavail != 0 {
		t.Errorf("%d free blocks, %v", st.Bavail, err)
	}
	d.SetCapacity(1 << 30)
	shell(t, dir, "dd if=/dev/zero of=f bs=4096 count=3 2>/dev/null")
}

const childVar = "POWERCUT_CHILD"

// TestChild is what the other process does in TestBoltKeepsItsWord.
func TestChild(t *testing.T) {
	dir := os.Getenv(childVar)
	if dir == "" {
		t.Skip("runs in the child of TestBoltKeepsItsWord")
	}
	db, err := boltfile.Open(filepath.Join(dir, "f.db"), boltfile.Options{Init: func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("b"))
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("TOLD 0")
	for n := uint64(1); n <= 60; n++ {
		err := db.Update(func(tx *bbolt.Tx) error {
			k := binary.BigEndian.AppendUint64(nil, n)
			return tx.Bucket([]byte("b")).Put(k, bytes.Repeat(k, 100))
		})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("TOLD", n)
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestBoltKeepsItsWord drives a bbolt file in another process, through mapped
// memory and all, and looks at it after a cut at every operation. The same
// without its fsyncs must be found wanting.
func TestBoltKeepsItsWord(t *testing.T) {
	d, dir := mounted(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childVar+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(out); sc.Scan(); {
		var n int
		if _, err := fmt.Sscanf(sc.Text(), "TOLD %d", &n); err == nil {
			d.Note(n)
			if n > 0 {
				fmt.Fprintln(in)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	h := d.History()
	began := time.Now()
	tried, bad := tryAll(t, h, 4)
	t.Logf("%d operations, %d cuts tried in %s", h.Count(), tried, time.Since(began).Round(time.Millisecond))
	if tried < 500 || len(bad) > 0 {
		t.Errorf("%d tried, %d bad, the first: %v", tried, len(bad), bad)
	}
	if _, bad := tryAll(t, h.Without(powercut.Sync), 1); len(bad) == 0 {
		t.Error("without fsync nothing was lost: this suite cannot see")
	}
	if _, bad := tryAll(t, h.Without(powercut.SyncDir), 1); len(bad) == 0 {
		t.Error("without the fsync of the folder nothing was lost: this suite cannot see")
	}
}

func tryAll(t *testing.T, h *powercut.History, seeds uint64) (tried int, bad []string) {
	scratch, err := powercut.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(scratch)
	dir := filepath.Join(scratch, "image")
	told := -1
	for r := h.Replay(1); ; {
		if o := r.Next(); o != nil && o.Kind == powercut.Mark {
			told = o.Note.(int)
			r.Step()
			continue
		}
		for seed := range seeds {
			if err := r.Image(seed).WriteTo(dir); err != nil {
				t.Fatal(err)
			}
			tried++
			if err := holds(filepath.Join(dir, "f.db"), told); err != nil && len(bad) < 3 {
				bad = append(bad, "op "+strconv.Itoa(r.At())+" seed "+strconv.Itoa(int(seed))+": "+err.Error())
			}
		}
		if !r.Step() {
			return tried, bad
		}
	}
}

// holds tells whether all that was told is in the file.
func holds(file string, told int) error {
	if _, err := os.Stat(file); err != nil && told < 0 {
		return nil // not made yet
	}
	db, err := boltfile.Open(file, boltfile.Options{ReadOnly: told >= 0})
	if err != nil {
		return err
	}
	defer db.Close()
	if told < 0 {
		return nil
	}
	return boltfile.Guard(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			for n := 1; n <= told; n++ {
				k := binary.BigEndian.AppendUint64(nil, uint64(n))
				if !bytes.Equal(tx.Bucket([]byte("b")).Get(k), bytes.Repeat(k, 100)) {
					return fmt.Errorf("%d was told and is not there", n)
				}
			}
			return nil
		})
	})
}
