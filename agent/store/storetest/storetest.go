// Package storetest is the suite that a till's store passes, and temporary
// stores for other tests.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// Identity is the till of every store made here.
var Identity = outbox.Identity{Device: "dev-0123456789", Epoch: 1}

// Clock is a clock that stands until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now tells the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.IsZero() {
		c.now = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	}
	return c.now
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) { c.Now(); c.mu.Lock(); c.now = c.now.Add(d); c.mu.Unlock() }

// Opener opens the journal of a folder, as the implementation under test does.
type Opener func(dir string, o store.Options) (*store.Journal, error)

// Open opens a journal for a test and closes it at its end.
func Open(t testing.TB, dir string, clock *Clock) *store.Journal {
	t.Helper()
	return open(t, store.OpenJournal, dir, clock)
}

func options(clock *Clock) store.Options {
	return store.Options{Identity: Identity, Now: clock.Now,
		Stamp: func() outbox.Stamp { return outbox.Stamp{Wall: clock.Now(), Boot: "b", Clock: wire.ClockGood} }}
}

func open(t testing.TB, f Opener, dir string, clock *Clock) *store.Journal {
	t.Helper()
	j, err := f(dir, options(clock))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// Run is the suite.
func Run(t *testing.T, f Opener) {
	for name, test := range map[string]func(*testing.T, Opener){
		"all or nothing":    allOrNothing,
		"states":            states,
		"answers expire":    answersExpire,
		"receipts expire":   receiptsExpire,
		"deltas":            deltas,
		"copies":            copies,
		"survives reopen":   survives,
		"second process":    second,
		"damage":            damage,
		"panic is no harm":  panics,
		"without identity":  withoutIdentity,
		"parallel writers":  parallel,
		"shifts":            shifts,
		"torn first start":  torn,
		"unknown is nil":    unknown,
		"open receipt list": openList,
	} {
		t.Run(name, func(t *testing.T) { test(t, f) })
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, j *store.Journal, r *store.Receipt) error {
	t.Helper()
	return j.Update(func(tx *store.Tx) error { return tx.PutReceipt(r) })
}

func get(t testing.TB, j *store.Journal, id string) (r *store.Receipt) {
	t.Helper()
	must(t, j.View(func(tx *store.Tx) (err error) { r, err = tx.Receipt(id); return err }))
	return r
}

func receipt(id string, s store.State) *store.Receipt {
	return &store.Receipt{ID: id, State: s, Basket: []byte(`{"lines":[]}`), Result: []byte(`{}`)}
}

func allOrNothing(t *testing.T, f Opener) {
	j := open(t, f, t.TempDir(), &Clock{})
	no := errors.New("no")
	err := j.Update(func(tx *store.Tx) error {
		if _, err := tx.Append(outbox.Entry{Type: wire.TypeCommit, Payload: wire.Commit{}}); err != nil {
			return err
		}
		if err := tx.PutReceipt(receipt("R1", store.Captured)); err != nil {
			return err
		}
		if err := tx.PutAnswer("k", &store.Answer{Status: 200, Body: []byte(`{}`)}); err != nil {
			return err
		}
		return no
	})
	if !errors.Is(err, no) || errors.Is(err, store.ErrOutcomeUnknown) {
		t.Errorf("err = %v", err)
	}
	h, err := j.Box().Head()
	if err != nil || h.Seq != 0 || get(t, j, "R1") != nil {
		t.Errorf("head %d %v, receipt %v", h.Seq, err, get(t, j, "R1"))
	}
	must(t, j.View(func(tx *store.Tx) error {
		a, err := tx.Answer("k")
		if a != nil {
			t.Error("the answer stayed")
		}
		return err
	}))
}

// states tries every move, and that a forbidden one changes nothing.
func states(t *testing.T, f Opener) {
	j := open(t, f, t.TempDir(), &Clock{})
	all := []store.State{store.Open, store.Held, store.Captured, store.PartlyReturned, store.Returned, store.Voided, store.Unresolved}
	reach := map[store.State][]store.State{
		store.Open: {store.Open}, store.Held: {store.Held}, store.Captured: {store.Captured}, store.Voided: {store.Voided},
		store.PartlyReturned: {store.Captured, store.PartlyReturned}, store.Returned: {store.Captured, store.Returned}, store.Unresolved: {store.Held, store.Unresolved},
	}
	allowed := 0
	for _, from := range all {
		for _, to := range all {
			id := string(from + ">" + to)
			for _, s := range reach[from] {
				must(t, put(t, j, receipt(id, s)))
			}
			err := put(t, j, receipt(id, to))
			if from.May(to) != (err == nil) || err != nil && !errors.Is(err, store.ErrState) {
				t.Errorf("%s: %v", id, err)
			}
			want := from
			if err == nil {
				want = to
				allowed++
			}
			if got := get(t, j, id).State; got != want {
				t.Errorf("%s ended as %s", id, got)
			}
		}
	}
	if allowed < 10 || allowed > 25 {
		t.Errorf("%d moves are allowed", allowed)
	}
	for _, end := range []store.State{store.Voided, store.Returned} {
		for _, to := range []store.State{store.Open, store.Held, store.Captured, store.Unresolved} {
			if end.May(to) {
				t.Errorf("%s may become %s", end, to)
			}
		}
	}
}

// Days lets a journal see days go by.
func Days(t testing.TB, j *store.Journal, clock *Clock, n int) {
	t.Helper()
	for range n {
		clock.Add(24 * time.Hour)
		err := j.Update(func(tx *store.Tx) error { _, err := tx.PruneReceipts(0); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
}

func answersExpire(t *testing.T, f Opener) {
	clock := &Clock{}
	j := open(t, f, t.TempDir(), clock)
	answer := func(key string) (a *store.Answer) {
		must(t, j.View(func(tx *store.Tx) (err error) { a, err = tx.Answer(key); return err }))
		return a
	}
	keep := func(key string) {
		must(t, j.Update(func(tx *store.Tx) error {
			return tx.PutAnswer(key, &store.Answer{Hash: []byte("h"), Call: "POST /x", Status: 200, Body: []byte(`{"n":1}`)})
		}))
	}
	for i := range 10 {
		keep(fmt.Sprint("old", i))
	}
	Days(t, j, clock, 30)
	clock.Add(10 * 365 * 24 * time.Hour) // a wrong clock, for a while
	keep("wrong0")
	keep("wrong1")
	clock.Add(-10 * 365 * 24 * time.Hour)
	if answer("old0") == nil {
		t.Error("a clock that jumped ahead ended the retention")
	}
	Days(t, j, clock, 4)
	clock.Add(14 * time.Hour)
	keep("young")
	if answer("old0") == nil {
		t.Error("gone before the retention was over")
	}
	Days(t, j, clock, 2)
	for i := range 4 {
		keep(fmt.Sprint("new", i))
	}
	for i := range 10 {
		if answer(fmt.Sprint("old", i)) != nil {
			t.Errorf("old%d is still there", i)
		}
	}
	if a := answer("young"); a == nil || string(a.Body) != `{"n":1}` || a.Status != 200 {
		t.Errorf("young: %+v", a)
	}
}

func receiptsExpire(t *testing.T, f Opener) {
	clock := &Clock{}
	j := open(t, f, t.TempDir(), clock)
	must(t, put(t, j, receipt("done", store.Captured)))
	held := receipt("held", store.Held)
	held.Hold = &store.Hold{ID: "h", Points: 1}
	must(t, put(t, j, held))
	Days(t, j, clock, 36)
	must(t, put(t, j, receipt("young", store.Captured)))
	n := 0
	must(t, j.Update(func(tx *store.Tx) (err error) { n, err = tx.PruneReceipts(10); return err }))
	if n != 1 || get(t, j, "done") != nil || get(t, j, "held") == nil || get(t, j, "young") == nil {
		t.Errorf("%d removed; done %v held %v young %v", n, get(t, j, "done"), get(t, j, "held"), get(t, j, "young"))
	}
}

func deltas(t *testing.T, f Opener) {
	j := open(t, f, t.TempDir(), &Clock{})
	anna, card := loyalty.MemberID(5), wire.Ref{1}
	subjects := []store.Subject{store.SubjectOf(&anna, card), store.SubjectOf(nil, card)}
	must(t, j.Update(func(tx *store.Tx) error {
		for _, s := range subjects {
			for _, m := range []wire.Mark{{Epoch: 1, Seq: 300}, {Epoch: 1, Seq: 2}, {Epoch: 2, Seq: 1}} {
				if err := tx.AddDelta(s, &store.Delta{Mark: m, Result: &loyalty.Result{Receipt: fmt.Sprint(m.Seq)}}); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	seqs := func(s store.Subject, after wire.Mark) string {
		out := ""
		must(t, j.View(func(tx *store.Tx) error {
			list, err := tx.Deltas(s, after)
			for _, d := range list {
				out += fmt.Sprintf("%d/%d ", d.Mark.Epoch, d.Mark.Seq)
			}
			return err
		}))
		return out
	}
	if got := seqs(subjects[0], wire.Mark{}); got != "1/2 1/300 2/1 " {
		t.Errorf("in order: %s", got)
	}
	if got := seqs(subjects[0], wire.Mark{Epoch: 1, Seq: 2}); got != "1/300 2/1 " {
		t.Errorf("after 1/2: %s", got)
	}
	n := 0
	drop := func(tx *store.Tx) (err error) {
		n, err = tx.DropDeltas(subjects[0], wire.Mark{Epoch: 1, Seq: 300})
		return err
	}
	must(t, j.View(drop))
	if n != 2 || seqs(subjects[0], wire.Mark{}) != "1/2 1/300 2/1 " {
		t.Errorf("looking counted %d, or changed something", n)
	}
	must(t, j.Update(drop))
	if n != 2 || seqs(subjects[0], wire.Mark{}) != "2/1 " || seqs(subjects[1], wire.Mark{}) != "1/2 1/300 2/1 " {
		t.Errorf("dropped %d: %s| %s", n, seqs(subjects[0], wire.Mark{}), seqs(subjects[1], wire.Mark{}))
	}
}

// copies checks that nothing handed out changes with the file.
func copies(t *testing.T, f Opener) {
	j := open(t, f, t.TempDir(), &Clock{})
	must(t, put(t, j, receipt("R1", store.Held)))
	must(t, j.Update(func(tx *store.Tx) error { return tx.SetMeta("m", []byte("before")) }))
	r := get(t, j, "R1")
	var m []byte
	must(t, j.View(func(tx *store.Tx) error { m = tx.Meta("m"); return nil }))
	for i := range 50 {
		must(t, j.Update(func(tx *store.Tx) error {
			if err := tx.SetMeta("m", bytes.Repeat([]byte("x"), 100+i)); err != nil {
				return err
			}
			return tx.PutReceipt(receipt(fmt.Sprint("other", i), store.Captured))
		}))
	}
	must(t, j.Close())
	if string(m) != "before" || string(r.Basket) != `{"lines":[]}` || r.ID != "R1" {
		t.Errorf("%q %+v", m, r)
	}
}

func survives(t *testing.T, f Opener) {
	dir, clock := t.TempDir(), &Clock{}
	j := open(t, f, dir, clock)
	must(t, j.Update(func(tx *store.Tx) error {
		at, err := tx.Append(outbox.Entry{Type: wire.TypeCommit, Receipt: "R1", Payload: wire.Commit{Member: "x"}})
		if err != nil {
			return err
		}
		r := receipt("R1", store.Captured)
		r.Mark = wire.Mark{Epoch: tx.Epoch(), Seq: at.Seq}
		r.Slip = store.SlipQueued
		return tx.PutReceipt(r)
	}))
	must(t, j.Close())
	j = open(t, f, dir, clock)
	r := get(t, j, "R1")
	if r == nil || r.Mark.Seq != 1 || r.Slip != store.SlipQueued || j.Aside != "" {
		t.Errorf("%+v", r)
	}
	must(t, j.Box().Verify())
}

func second(t *testing.T, f Opener) {
	dir, clock := t.TempDir(), &Clock{}
	open(t, f, dir, clock)
	if _, err := f(dir, options(clock)); !errors.Is(err, store.ErrInUse) {
		t.Errorf("second: %v", err)
	}
}

func damage(t *testing.T, f Opener) {
	dir, clock := t.TempDir(), &Clock{}
	j := open(t, f, dir, clock)
	must(t, put(t, j, receipt("R1", store.Captured)))
	must(t, j.Close())
	path := filepath.Join(dir, store.JournalFile)
	whole, err := os.ReadFile(path)
	must(t, err)
	for name, change := range map[string]func([]byte) []byte{
		"both meta pages": func(b []byte) []byte { clear(b[:2*os.Getpagesize()]); return b },
		"cut short":       func(b []byte) []byte { return b[:os.Getpagesize()/2] },
		"noise":           func(b []byte) []byte { return bytes.Repeat([]byte{0x5a}, len(b)) },
	} {
		must(t, os.WriteFile(path, change(bytes.Clone(whole)), 0o600))
		j, err := f(dir, options(clock))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if j.Aside == "" {
			t.Errorf("%s: not noticed", name)
		} else if _, err := os.Stat(j.Aside); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if get(t, j, "R1") != nil {
			t.Errorf("%s: the receipt came out of a damaged file", name)
		}
		must(t, put(t, j, receipt("R2", store.Captured)))
		must(t, j.Close())
	}
}

func panics(t *testing.T, f Opener) {
	j := open(t, f, t.TempDir(), &Clock{})
	err := j.Update(func(tx *store.Tx) error {
		must(t, tx.PutReceipt(receipt("R1", store.Captured)))
		panic("a fault of ours")
	})
	if err == nil || get(t, j, "R1") != nil {
		t.Errorf("err %v", err)
	}
	must(t, put(t, j, receipt("R2", store.Captured)))
}

func withoutIdentity(t *testing.T, f Opener) {
	dir, clock := t.TempDir(), &Clock{}
	o := options(clock)
	o.Identity = outbox.Identity{}
	j, err := f(dir, o)
	must(t, err)
	if j.Box() != nil {
		t.Error("a box without an identity")
	}
	err = j.Update(func(tx *store.Tx) error { _, err := tx.Append(outbox.Entry{Type: wire.TypeClock}); return err })
	if !errors.Is(err, store.ErrNotEnrolled) {
		t.Errorf("append: %v", err)
	}
	must(t, j.Close())
	open(t, f, dir, clock) // enrolled later, on the same file
}

func parallel(t *testing.T, f Opener) {
	j := open(t, f, t.TempDir(), &Clock{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 10 {
				err := j.Update(func(tx *store.Tx) error {
					if _, err := tx.Append(outbox.Entry{Type: wire.TypeClock, Payload: wire.ClockChange{}}); err != nil {
						return err
					}
					return tx.PutReceipt(receipt(fmt.Sprintf("%d-%d", w, i), store.Captured))
				})
				if err != nil {
					t.Error(err)
				}
				_ = j.View(func(tx *store.Tx) error { _, err := tx.Receipt("0-0"); return err })
			}
		})
	}
	wg.Wait()
	if h, err := j.Box().Head(); err != nil || h.Seq != 80 {
		t.Errorf("head %d %v", h.Seq, err)
	}
	must(t, j.Box().Verify())
}

func shifts(t *testing.T, f Opener) {
	j := open(t, f, t.TempDir(), &Clock{})
	must(t, j.Update(func(tx *store.Tx) error {
		for _, c := range []store.ShiftCount{{Receipts: 1, Net: 1250, Earned: 100}, {Receipts: 1, Net: -50, Spent: 7}} {
			if err := tx.CountShift("S1", c); err != nil {
				return err
			}
		}
		return tx.CountShift("", store.ShiftCount{Receipts: 9})
	}))
	must(t, j.View(func(tx *store.Tx) error {
		c, err := tx.Shift("S1")
		if c.Receipts != 2 || c.Net != 1200 || c.Earned != 100 || c.Spent != 7 {
			t.Errorf("%+v", c)
		}
		return err
	}))
}

// torn is a power cut during the very first start: what lies under the
// temporary name must not be taken for the journal.
func torn(t *testing.T, f Opener) {
	dir, clock := t.TempDir(), &Clock{}
	for _, name := range []string{".new-1-x", ".new"} {
		must(t, os.WriteFile(filepath.Join(dir, store.JournalFile+name), []byte("half a page"), 0o600))
	}
	j := open(t, f, dir, clock)
	must(t, put(t, j, receipt("R1", store.Captured)))
}

func unknown(t *testing.T, f Opener) {
	j := open(t, f, t.TempDir(), &Clock{})
	if r := get(t, j, "nothing"); r != nil {
		t.Errorf("%+v", r)
	}
}

func openList(t *testing.T, f Opener) {
	j := open(t, f, t.TempDir(), &Clock{})
	list := func() string {
		out := ""
		must(t, j.View(func(tx *store.Tx) error {
			l, err := tx.OpenReceipts()
			for _, r := range l {
				out += r.ID + " "
			}
			return err
		}))
		return out
	}
	held := receipt("a", store.Held)
	held.Hold = &store.Hold{ID: "h", Points: 1}
	must(t, put(t, j, held))
	must(t, put(t, j, receipt("b", store.Captured)))
	must(t, put(t, j, receipt("d", store.Held))) // holds nothing
	c := receipt("c", store.Captured)
	c.Slip = store.SlipQueued
	must(t, put(t, j, c))
	if got := list(); got != "a c " {
		t.Error(got)
	}
	c.Slip = store.SlipPrinted
	must(t, put(t, j, c))
	must(t, put(t, j, receipt("a", store.Captured)))
	if got := list(); got != "" {
		t.Error(got)
	}
}
