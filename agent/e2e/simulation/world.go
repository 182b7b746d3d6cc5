package simulation

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing/synctest"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/wire"
)

// The chain of every story: tills of three shops, and customers.
var shops = []string{"A", "A", "B", "C"}

const (
	tills   = 4
	wallet  = "points"
	opening = loyalty.Points(100_000) // of each member, in hundredths
)

var cards = []string{"2000000000015", "2000000000022", "2000000000039", "2000000000046", "2000000000053", "2000000000060"}

// world is one story being played.
type world struct {
	seed     uint64
	dir      string
	log      *slog.Logger
	out      io.Writer
	offset   time.Duration // of the world's time before the fake clock's
	net      *network
	centre   *centre
	machines []*machine
	cards    []string
	members  []loyalty.MemberID
	oracle   *oracle
	visits   map[string]*visit
	receipts int
	blocked  map[int]bool
	counts   counts
	failures []string
}

// now is the true time.
func (w *world) now() time.Time { return time.Now().Add(w.offset) }

// fail takes a violation down; the story goes on to its end, so that all are
// seen.
func (w *world) fail(format string, args ...any) {
	if len(w.failures) < 20 {
		w.failures = append(w.failures, fmt.Sprintf(format, args...))
	}
	w.tell("  WRONG: "+format, args...)
}

func (w *world) tell(format string, args ...any) {
	fmt.Fprintf(w.out, "%s %s\n", w.now().UTC().Format("01-02 15:04:05.000"), fmt.Sprintf(format, args...))
}

// Play plays a story in dir, which it fills, and returns what went wrong. It
// must be called inside a bubble of testing/synctest.
func Play(t *template, dir string, seed uint64, story Story, out io.Writer, log *slog.Logger) ([]string, *counts) {
	w := &world{seed: seed, dir: dir, log: log, out: out, net: &network{seed: seed}, cards: cards, members: t.members,
		visits: map[string]*visit{}, blocked: map[int]bool{}}
	w.offset = time.Until(t.made.Add(time.Minute))
	w.oracle = &oracle{w: w, sales: map[string]*sold{}}
	w.centre = &centre{w: w, disk: filepath.Join(dir, "centre")}
	if err := copyFolder(t.dir, dir); err != nil {
		w.fail("copy the template: %v", err)
		return w.failures, &w.counts
	}
	w.centre.on()
	for _, p := range t.places {
		w.machines = append(w.machines, &machine{w: w, place: p, disk: filepath.Join(dir, p.Store+"-"+p.Till), cable: w.net.cable()})
	}
	for _, m := range w.machines {
		m.on()
	}
	w.wait(3 * time.Second)
	w.counts.Seeds, w.counts.Events = 1, int64(len(story))
	for i, e := range story {
		w.hear()
		w.tell("%d %s", i, e)
		w.play(e)
		if e.Wait > 0 {
			w.wait(e.Wait)
		}
		if len(w.failures) > 0 {
			break
		}
	}
	w.settle()
	for _, m := range w.machines {
		m.off()
	}
	w.centre.off()
	return w.failures, &w.counts
}

// wait lets time pass.
func (w *world) wait(d time.Duration) {
	time.Sleep(d)
	w.hear()
}

// hear lets everybody finish what they are at and takes in what cash programs
// were told.
func (w *world) hear() {
	synctest.Wait()
	for _, m := range w.machines {
		m.heard()
	}
}

// repeat is a cash program that calls twice: the answer must be the same.
func (w *world) repeat(m *machine, n int) {
	s := w.oracle.some(n)
	if s == nil || s.at != m || m.agent == nil || m.tainted || m.gone {
		return
	}
	body := []byte(fmt.Sprintf(`{"fiscal_number":"F%s","tenders":[]}`, s.id))
	status, answer := m.ask(m.handle, "POST", "/v1/receipts/"+s.id+"/capture", s.id+"-capture", body)
	if status >= 300 {
		w.fail("receipt %s was closed; the same call again answers %d %s", s.id, status, answer)
		return
	}
	var a saleAnswer
	if err := json.Unmarshal(answer, &a); err != nil {
		w.fail("%v", err)
		return
	}
	w.oracle.captured(m, w.visits[s.id], &a)
}

func (w *world) gift(member int, points loyalty.Money) {
	w.centre.write(func(tx *db.Tx) error {
		_, err := w.centre.server.Ledger().AdjustBy(tx, w.members[member], wallet, loyalty.Points(points), "", "a gift")
		return err
	})
}

func (w *world) block(member int) {
	status := "blocked"
	if w.blocked[member] {
		status = "active"
	}
	w.blocked[member] = !w.blocked[member]
	w.centre.write(func(tx *db.Tx) error {
		key, err := w.centre.server.Members().LookupKey(tx)
		if err != nil {
			return err
		}
		return w.centre.server.Members().SetStatus(tx, wire.CardRef(key, wire.KindCard, w.cards[member]), status)
	})
}

// audit recomputes every balance (I1, I2).
func (w *world) audit() {
	w.counts.Audits++
	w.centre.read(func(tx *db.Tx) error {
		r, err := ledger.Verify(tx)
		if err == nil && !r.OK() {
			w.fail("the ledger is not sound: %s", strings.Join(r.Problems, "; "))
		}
		return err
	})
}

// night switches everything off and lets time pass that nobody notices.
func (w *world) night(d time.Duration) {
	for _, m := range w.machines {
		m.off()
	}
	w.centre.off()
	w.offset += d
	w.centre.on()
	for _, m := range w.machines {
		m.on()
	}
}

func (w *world) takeImage(m *machine) {
	synctest.Wait()
	if m.image != "" {
		_ = os.RemoveAll(m.image)
	}
	m.image = m.duplicate()
}

// restore starts a till from an image of an earlier day.
func (w *world) restore(m *machine) {
	if m.image == "" || m.gone {
		return
	}
	m.kill()
	w.oracle.doubt(m)
	m.put(m.image)
	m.image = ""
	m.on()
}

// clone starts a second till from a copy of this one's disk.
func (w *world) clone(m *machine) {
	if m.copy || m.gone || len(w.machines) >= 2*tills {
		return
	}
	synctest.Wait()
	w.oracle.doubt(m)
	c := &machine{w: w, place: m.place, copy: true, cable: w.net.cable(), tainted: true, skew: m.skew}
	c.disk = m.duplicate()
	w.machines = append(w.machines, c)
	c.on()
}

// revoke takes the trust from a till's device.
func (w *world) revoke(m *machine) {
	if m.gone {
		return
	}
	w.hear()
	w.centre.write(func(tx *db.Tx) error {
		if _, err := fleet.Revoke(tx, "", "", m.place.Device, "stolen", w.now()); err != nil {
			return err
		}
		_, err := w.centre.server.Ledger().ReturnRevoked(tx)
		return err
	})
	for _, x := range w.machines {
		if x.place.Device == m.place.Device {
			w.oracle.doubt(x)
			x.gone = true
		}
	}
}

// settle brings everything to rest and checks what must hold then.
func (w *world) settle() {
	w.hear()
	w.centre.on()
	for _, m := range w.machines {
		m.cable.keep(brisk)
		m.cable.set(whole, 0)
		if m.skew != 0 {
			m.kill()
			m.skew = 0
		}
		m.on()
	}
	// Whoever still stands at a counter pays.
	for range 40 {
		open := false
		w.wait(time.Second)
		for _, m := range w.machines {
			if m.visit != nil {
				open = true
				m.finish("capture")
			}
		}
		if !open {
			break
		}
	}
	for _, m := range w.machines {
		if m.visit != nil {
			w.fail("the receipt %s of till %s cannot be ended", m.visit.id, m.place)
		}
	}
	for range 300 {
		if w.drained() {
			break
		}
		w.wait(time.Second)
	}
	for _, m := range w.machines {
		if !m.tainted && !w.quiet(m) {
			w.fail("till %s does not come to rest: %s", m.place, w.status(m))
		}
	}
	w.wait(5 * time.Second)
	w.audit()
	w.oracle.compare()
	w.oracle.losses()
	w.aside()
}

// aside looks at what the centre put aside: nothing, when no till lied.
func (w *world) aside() {
	for _, m := range w.machines {
		if m.tainted {
			return
		}
	}
	w.centre.read(func(tx *db.Tx) error {
		c, err := ledger.Counts(tx)
		if err != nil {
			return err
		}
		if c.Parked+c.Waiting > 0 {
			w.fail("the centre put %d records aside and waits for %d", c.Parked, c.Waiting)
		}
		var holds int64
		if _, err := tx.Row(`SELECT COUNT(*) FROM hold WHERE state IN ('open', 'unresolved')`, nil, &holds); err != nil {
			return err
		}
		if holds > 0 {
			w.fail("%d holds are neither spent nor given back, and nobody stands at a counter", holds)
		}
		return nil
	})
}

func (w *world) drained() bool {
	for _, m := range w.machines {
		if !m.tainted && !w.quiet(m) {
			return false
		}
	}
	return true
}

func (w *world) status(m *machine) string {
	_, b := m.ask(m.handle, "GET", "/v1/status", "", nil)
	return string(b)
}

// quiet tells whether the centre has everything of a till.
func (w *world) quiet(m *machine) bool {
	if m.agent == nil {
		return false
	}
	var s struct {
		Journal struct{ Seq, Acked uint64 }
	}
	return json.Unmarshal([]byte(w.status(m)), &s) == nil && s.Journal.Seq == s.Journal.Acked
}

func money(n int) loyalty.Money { return loyalty.Money(n) }
