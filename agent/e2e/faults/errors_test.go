package faults

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/e2e/faults/powercut"
	"github.com/tillside/tillside/agent/store"
)

// trouble is one way in which a disk fails at one call.
type trouble struct {
	name string
	errs syscall.Errno
	stay bool // every call from then on, until it is mended
	full bool // the disk is full from then on, until there is room
}

var troubles = []trouble{
	{name: "EIO once", errs: syscall.EIO},
	{name: "EIO from then on", errs: syscall.EIO, stay: true},
	{name: "ENOSPC once", errs: syscall.ENOSPC},
	{name: "disk full from then on", full: true},
}

// arm has the n-th call from now fail.
func (x trouble) arm(d *powercut.Disk, n int) {
	d.SetFault(func(c powercut.Call) syscall.Errno {
		switch {
		case x.full && c.N == n:
			go d.Fill() // not here: the disk is busy with this call
			return syscall.ENOSPC
		case c.N == n, x.stay && c.N > n:
			return x.errs
		}
		return 0
	})
}

// TestErrorAtEveryCall (F6) works a short day once for every call the disk is
// asked, with that call refused: once, or from then on until it is mended.
// Calls that were not answered are made again. In the end the power is cut,
// and whatever failed flushes left in doubt is decided by chance.
func TestErrorAtEveryCall(t *testing.T) {
	// How many calls are there on a good disk?
	calls := 0
	t.Run("good disk", func(t *testing.T) {
		s := newShop(t, nil)
		s.disk.SetFault(nil)
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		s.errorDay()
		s.stop()
		calls = s.disk.Calls()
	})
	end := time.Now().Add(share(12))
	step := pick(max(calls/4, 1), 1)
	runs, refused, bad := 0, 0, 0
	reached := 0
	for n := 1; n <= calls && time.Now().Before(end); n += step {
		for i, x := range troubles {
			if *long == 0 && (n/step)%len(troubles) != i { // the short form takes them by turns
				continue
			}
			runs++
			t.Run(fmt.Sprintf("%s/%d", x.name, n), func(t *testing.T) { // whose end gives disk and folders back
				again, err := oneError(t, x, n)
				refused += again
				if err != nil {
					bad++
					t.Errorf("call %d of %d: %v", n, calls, err)
				}
			})
			if bad > 10 {
				t.FailNow()
			}
		}
		reached = n
	}
	did := fmt.Sprintf("calls 1 to %d of %d by %d, %d runs, %d calls of the cash program had to be made again", reached, calls, step, runs, refused)
	rows.add("F6", "EIO and ENOSPC at every call of the disk, then mended", did, bad)
	t.Log(did)
}

// errorDay is a short day with everything in it.
func (s *shop) errorDay() {
	for _, i := range []int{1, 2, 3, 9, 10, 12} {
		if !s.running() {
			if err := s.start(); err != nil {
				continue // not while the disk is like this
			}
		}
		s.receipt(i)
	}
}

// oneError is one run. It tells how many calls had to be made again.
func oneError(t *testing.T, x trouble, n int) (again int, err error) {
	t.Helper()
	s := newShop(t, nil)
	defer s.kill()
	x.arm(s.disk, n)
	_ = s.start() // may fail: the service manager starts it again
	s.errorDay()
	// Mended.
	s.disk.SetFault(nil)
	s.disk.SetCapacity(64 << 30)
	open := s.unanswered()
	again = len(open)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if !s.running() {
			if err := s.start(); err != nil {
				return again, fmt.Errorf("does not start on the mended disk: %w", err)
			}
		}
		last := ""
		for _, c := range open {
			if status, answer := s.again(c); status != http.StatusOK {
				last = fmt.Sprintf("%s of %s: %d %.200s", c.Does, c.Receipt, status, answer)
				break
			}
		}
		if open = s.unanswered(); len(open) == 0 {
			break
		}
		if time.Now().After(end) {
			return again, fmt.Errorf("not done after the disk was mended: %s", last)
		}
	}
	s.kill()
	h := s.disk.History()
	for seed := range uint64(3) {
		rp := h.Replay(seed)
		for rp.Step() {
		}
		j := job{Dir: imageDir(s.tmp, int(seed)), Token: s.token, Asked: len(s.calls), Told: len(s.calls), Whole: true}
		if err := rp.Image(seed).WriteTo(j.Dir); err != nil {
			return again, err
		}
		if err := j.verify(s.calls); err != nil {
			return again, fmt.Errorf("after a power cut with seed %d: %w", seed, err)
		}
	}
	return again, nil
}

// TestDiskFillsUp (F6, I14): spending stops first; what is open can be closed
// when there is no room at all, nothing new is begun, and it says so; work goes
// on by itself when there is room.
func TestDiskFillsUp(t *testing.T) {
	o := newHeadOffice(t)
	s := newShop(t, o)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the link is up", func() bool { return s.status().Mode == "online" })
	until(t, "the ballast is laid down", func() bool { return s.disk.Used() > store.BallastSize })
	basket := func(i int) string {
		return fmt.Sprintf(`"currency":"GBP","lines":[{"sku":"1","quantity":"1","price":"30.00"}],"member":%q`, s.identify(cards[i%3]))
	}
	spends := func(id string) string {
		status, answer := s.do("authorise", id, "/v1/receipts/"+id+"/authorise", "{"+basket(1)+`,"spend":"2"}`)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		return answer
	}
	if a := spends("OPEN1"); !strings.Contains(a, `"hold"`) {
		t.Fatalf("no points held on a good disk: %s", a)
	}
	// Little room: no spending, everything else as ever.
	s.disk.SetCapacity(s.disk.Used() + 40<<20)
	until(t, "the warning", func() bool { return s.status().warns("disk_low") })
	if a := spends("OPEN2"); strings.Contains(a, `"hold"`) || !strings.Contains(a, "disk_low") {
		t.Errorf("points held while the disk is almost full: %s", a)
	}
	if status, answer := s.do("capture", "LOW", "/v1/receipts/LOW/capture", `{"receipt":{`+basket(2)+`}}`); status != http.StatusOK {
		t.Errorf("no accrual although there is room: %d %s", status, answer)
	}
	// No room.
	s.disk.Fill()
	sold, refused := 0, ""
	for i := 0; i < 3000 && refused == ""; i++ {
		id := fmt.Sprint("NEW", i)
		status, answer := s.do("capture", id, "/v1/receipts/"+id+"/capture", `{"receipt":{`+basket(i)+`}}`)
		if status == http.StatusOK {
			sold++
		} else {
			refused = answer
		}
	}
	if !strings.Contains(refused, "try_again") && !strings.Contains(refused, "disk_full") {
		t.Fatalf("after %d receipts on a full disk: %q", sold, refused)
	}
	status, answer := s.do("capture", "NEXT", "/v1/receipts/NEXT/capture", `{"receipt":{`+basket(0)+`}}`)
	if status != http.StatusInsufficientStorage || !strings.Contains(answer, `"disk_full"`) {
		t.Errorf("a new receipt on a full disk: %d %s", status, answer)
	}
	until(t, "the warning", func() bool { return s.status().warns("disk_full") })
	for _, id := range []string{"OPEN1", "OPEN2"} {
		if status, answer := s.do("capture", id, "/v1/receipts/"+id+"/capture", `{"shift":"S1"}`); status != http.StatusOK {
			t.Errorf("%s was open and cannot be closed on a full disk: %d %s", id, status, answer)
		}
	}
	// The machine is switched off and on meanwhile.
	s.kill()
	if err := s.start(); err != nil {
		t.Fatalf("no start on a full disk: %v", err)
	}
	if status, answer := s.do("capture", "NEXT2", "/v1/receipts/NEXT2/capture", `{"receipt":{`+basket(0)+`}}`); status == http.StatusOK {
		t.Errorf("a new receipt on a full disk after a restart: %s", answer)
	}
	// Room again.
	s.disk.SetCapacity(64 << 30)
	until(t, "all clear", func() bool {
		st := s.status()
		return len(st.Mode) > 0 && !st.warns("disk_full") && !st.warns("disk_low")
	})
	for _, c := range s.unanswered() {
		if status, answer := s.again(c); status != http.StatusOK {
			t.Errorf("%s, made again: %d %s", c.Receipt, status, answer)
		}
	}
	s.kill()
	j := job{Dir: imageDir(scratch(t), 0), Token: s.token, Asked: len(s.calls), Told: len(s.calls), Whole: true}
	rp := s.disk.History().Replay(0)
	for rp.Step() {
	}
	bad := 0
	err := rp.Image(0).WriteTo(j.Dir)
	if err == nil {
		err = j.verify(s.calls)
	}
	if err != nil {
		bad++
		t.Error(err)
	}
	if t.Failed() {
		bad = max(bad, 1)
	}
	rows.add("F6", "disk filled up to the last block, and emptied", fmt.Sprintf("%d receipts on the last blocks, then closed, warned, gone on by itself", sold), bad)
}
