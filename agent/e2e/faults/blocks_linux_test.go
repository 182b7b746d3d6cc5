package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/e2e/faults/powercut"
)

// tool runs a command and gives its output.
func tool(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// looped mounts a file that holds a file system.
type looped struct{ device, dir string }

func loopMount(image, dir string) (*looped, error) {
	dev, err := tool("losetup", "--find", "--show", image)
	if err != nil {
		return nil, err
	}
	if _, err := tool("mount", dev, dir); err != nil {
		_, _ = tool("losetup", "--detach", dev)
		return nil, err
	}
	return &looped{dev, dir}, nil
}

func (l *looped) off() error {
	var err error
	for range 100 { // whoever was just killed lets go in a moment
		if err = syscall.Unmount(l.dir, 0); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if _, e := tool("losetup", "--detach", l.device); err == nil {
		err = e
	}
	return err
}

// TestPowerCutUnderFileSystems (F2) works a day on ext4 and on XFS whose disk
// is ours: what the file system writes and flushes is the history, block by
// block. After a cut the file system recovers by its own log, then the agent
// starts.
func TestPowerCutUnderFileSystems(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may mount")
	}
	for name, fs := range map[string]struct {
		size int64
		make []string
	}{
		"ext4": {48 << 20, []string{"mkfs.ext4", "-q", "-F"}},
		"xfs":  {320 << 20, []string{"mkfs.xfs", "-q"}},
	} {
		t.Run(name, func(t *testing.T) {
			if *long == 0 && (name == "xfs" || sparsely > 1) {
				t.Skip("its images are large; in the long form, ext4 without the race detector too")
			}
			if _, err := exec.LookPath(fs.make[0]); err != nil {
				t.Skip(err)
			}
			host := scratch(t)
			img := filepath.Join(host, "disk")
			if err := os.WriteFile(img, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(img, fs.size); err != nil {
				t.Fatal(err)
			}
			if _, err := tool(fs.make[0], append(fs.make[1:], img)...); err != nil {
				t.Fatal(err)
			}
			d, err := powercut.NewDisk(host)
			if err != nil {
				t.Fatal(err)
			}
			on, _ := mount(t, d)
			dir := t.TempDir()
			l, err := loopMount(filepath.Join(on, "disk"), dir)
			if err != nil {
				t.Skip(err)
			}
			s := &shop{t: t, disk: d, dir: filepath.Join(dir, "data"), tmp: scratch(t), http: newClient()}
			err = os.Mkdir(s.dir, 0o700)
			if err == nil {
				s.token = folder(t, s.dir, "ws://127.0.0.1:1/v1/sync")
				_, err = tool("sync", "-f", dir) // what the test itself has put there
			}
			if err == nil {
				err = s.start()
			}
			if err != nil {
				_ = l.off()
				t.Fatal(err)
			}
			s.note(asked{0}) // from here on there is a till
			for _, i := range []int{1, 2, 3, 4, 9, 10, 12} {
				s.receipt(i)
			}
			s.stop()
			if err := l.off(); err != nil {
				t.Fatal(err)
			}
			blocks(t, name, d.History(), s)
		})
	}
}

// blocks tries cuts of a block device's history.
func blocks(t *testing.T, name string, h *powercut.History, s *shop) {
	c := newCrew(t, "verify", s.calls, 1)
	base := scratch(t)
	at := t.TempDir()
	end := time.Now().Add(min(share(2), pick(8*time.Second, time.Hour)))
	began := time.Now()
	ready, points := false, 0
	j := job{Token: s.token, Dir: filepath.Join(at, "data")}
	total := 0
	for _, o := range h.Ops {
		if _, ok := o.Note.(asked); ok {
			ready = true
		}
		if ready && o.Kind != powercut.Mark {
			total++
		}
	}
	ready = false
	step := max(1, total/pick(24, 400))
	for rp, n := h.Replay(*firstSeed), 0; ; {
		if o := rp.Next(); o != nil && o.Kind == powercut.Mark {
			switch note := o.Note.(type) {
			case asked:
				j.Asked, ready = note.n, true
			case answered:
				j.Told = note.n
			}
			rp.Step()
			continue
		}
		if time.Now().After(end) {
			break
		}
		if ready {
			if n%step == 0 {
				points++
				for _, seed := range []uint64{0, *firstSeed} {
					img, job, where := rp.Image(seed), j, fmt.Sprintf("%s before block operation %d with seed %d", name, rp.At(), seed)
					c.work <- func(ch *child, _ int) {
						err := img.WriteTo(base)
						var l *looped
						if err == nil {
							l, err = loopMount(filepath.Join(base, "disk"), at)
						}
						if err != nil {
							c.note(where, verdict{Bad: err.Error()})
							return
						}
						v := ch.look(job)
						if err := l.off(); err != nil && v.Bad == "" {
							v.Bad = err.Error()
						}
						c.note(where, v)
					}
				}
			}
			n++
		}
		if !rp.Step() {
			break
		}
	}
	c.end()
	for _, b := range c.bad {
		t.Error(b)
	}
	if c.tried == 0 {
		t.Error("nothing was tried")
	}
	did := fmt.Sprintf("%d of %d block operations, %d cuts, each mounted and started; %s", points, total, c.tried, time.Since(began).Round(time.Second))
	rows.add("F2", "power cut under "+name, did, c.nbad)
	t.Log(did)
}
