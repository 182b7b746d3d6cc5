package ledger

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

var long = flag.Bool("long", false, "ten times as many random days")

// effort is how many times the short number of random days is run.
func effort() int {
	if *long {
		return 10
	}
	return 1
}

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", strconv.Itoa(20*effort())); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// story is some tills' day, written before anything of it is sent.
type story struct {
	c       *centre
	devices []*device
	people  []loyalty.MemberID
}

// write logs n random events on the story's devices: sales, returns of any
// till's sales, voids, gifts, poison, receipts of nobody.
func (s *story) write(n int, draw func(most int) int) {
	type sold struct {
		d      *device
		mark   wire.Mark
		m      loyalty.MemberID
		left   loyalty.Points
		voided bool
	}
	var sales []*sold
	for i := range n {
		d := s.devices[draw(len(s.devices)-1)]
		m := s.people[draw(len(s.people)-1)]
		switch k := draw(9); {
		case k <= 4:
			p := loyalty.Points(draw(5000))
			sales = append(sales, &sold{d, d.sale(fmt.Sprintf("r%d", i), m, p), m, p, false})
		case k <= 6 && len(sales) > 0:
			x := sales[draw(len(sales)-1)]
			p := loyalty.Points(draw(int(x.left)))
			if p > 0 && !x.voided {
				d.giveBack(x.mark, x.d, x.m, p, 0)
				x.left -= p
			}
		case k == 7 && len(sales) > 0:
			x := sales[draw(len(sales)-1)]
			if x.left == 0 || x.voided {
				continue
			}
			// A till voids its own receipts only, and only untouched ones.
			if x.left == s.given(x.d, x.mark) {
				x.d.log(wire.TypeVoid, "", wire.Void{Reverses: &x.mark, Member: x.m.String()})
				x.voided, x.left = true, 0
			}
		case k == 8:
			d.log(wire.TypeEarn, "", wire.Earn{Member: m.String(), Wallet: "points", Points: "1.00", Rule: "survey"})
		default:
			d.sale("bad", 0xdead, 10) // nobody knows this member
		}
	}
}

// given is what a sale in a journal gave.
func (s *story) given(d *device, m wire.Mark) loyalty.Points {
	for _, it := range d.queue {
		if it.Seq == m.Seq {
			if p, ok := it.post.(*sale); ok && len(p.result.Earned) > 0 {
				return p.result.Earned[0].Points
			}
		}
	}
	return 0
}

func (s *story) state() string {
	out := ""
	for _, m := range s.people {
		out += fmt.Sprintf("%s %+v\n", m, s.c.balance(m))
	}
	return out
}

func tempDir(t fataler) (string, func()) {
	// Durability is not the question here: memory, where the system has it,
	// saves the hundreds of flushes.
	root := "/dev/shm"
	if st, err := os.Stat(root); err != nil || !st.IsDir() {
		root = ""
	}
	dir, err := os.MkdirTemp(root, "ledger")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

func newStory(t fataler, dir string, devices, people int) *story {
	s := &story{c: newCentre(t, dir)}
	for i := range people {
		s.people = append(s.people, loyalty.MemberID(i+1))
		s.c.member(loyalty.MemberID(i + 1))
	}
	for i := range devices {
		s.devices = append(s.devices, s.c.device(int64(i+1)))
	}
	return s
}

// I17: whatever the order between tills, however often and in whatever pieces
// the journals come, the end is the same, and the books are sound.
func TestOrderBetweenTillsDoesNotMatter(t *testing.T) {
	cases := 8 * effort()
	for k := range cases {
		seed := rand.Uint64()
		n := 2 + k*7
		dir, clean := tempDir(t)
		var ends []string
		for round := range uint64(3) {
			s := newStory(t, fmt.Sprintf("%s/%d", dir, round), 3, 2)
			day := rand.New(rand.NewPCG(seed, 1)) // the same day in every round
			s.write(n, func(most int) int { return day.IntN(most + 1) })
			s.sendShuffled(rand.New(rand.NewPCG(seed, 2+round)))
			sum := s.c.sound()
			ends = append(ends, s.state()+fmt.Sprintf("receipts %d returns %d voided %d parked %d waiting %d wallets %+v",
				sum.Receipts, sum.Returns, sum.Voided, sum.Parked, sum.Waiting, sum.Wallets))
			s.c.close()
		}
		if ends[0] != ends[1] || ends[1] != ends[2] {
			t.Errorf("seed %d, %d events: three orders, three ends:\n%s\n%s\n%s", seed, n, ends[0], ends[1], ends[2])
		}
		clean()
	}
}

// sendShuffled sends all journals in pieces, one till or the other, with old
// batches in between.
func (s *story) sendShuffled(order *rand.Rand) {
	sent := map[*device]*Batch{}
	for {
		var left []*device
		for _, d := range s.devices {
			if len(d.queue) > 0 {
				left = append(left, d)
			}
		}
		if len(left) == 0 {
			return
		}
		d := left[order.IntN(len(left))]
		if old := sent[d]; old != nil && order.IntN(4) == 0 {
			if _, err := s.c.in.Ingest(context.Background(), old); !errors.Is(err, ErrWatermark) {
				s.c.t.Fatalf("an old batch again: %v", err)
			}
		}
		n := 1 + order.IntN(len(d.queue))
		sent[d] = d.batch(n)
		d.send(n)
	}
}

// I2, I3, I5: holds, spends, voids and gifts in any order never take a member
// below zero; a plain model says what each must have.
func TestSpendingAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, clean := tempDir(t)
		defer clean()
		s := newStory(t, dir, 2, 2)
		defer s.c.close()
		type model struct{ available, held, spent, issued, lost loyalty.Points }
		type kept struct {
			m      loyalty.MemberID
			points loyalty.Points
			live   bool
		}
		want := map[loyalty.MemberID]*model{1: {}, 2: {}}
		holds := map[string]*kept{}
		ids := []string{}
		for i := range rapid.IntRange(1, 40).Draw(t, "events") {
			d := s.devices[rapid.IntRange(0, 1).Draw(t, "device")]
			m := loyalty.MemberID(rapid.IntRange(1, 2).Draw(t, "member"))
			p := loyalty.Points(rapid.IntRange(1, 1000).Draw(t, "points"))
			w := want[m]
			switch rapid.IntRange(0, 5).Draw(t, "event") {
			case 0, 1:
				d.sale(fmt.Sprint(i), m, p)
				w.available, w.issued = w.available+p, w.issued-p
			case 2:
				id := fmt.Sprintf("h%d", rapid.IntRange(0, 9).Draw(t, "hold"))
				d.flush()
				err := s.c.hold(id, m, p, d)
				have, known := holds[id]
				switch {
				case known && !have.live:
					if !errors.Is(err, ErrHoldEnded) {
						t.Fatalf("an ended hold: %v", err)
					}
				case known:
					if err != nil && !errors.Is(err, ErrHoldDiffers) {
						t.Fatalf("a known hold: %v", err)
					}
				case p > w.available:
					if !errors.Is(err, ErrShort) {
						t.Fatalf("too much: %v", err)
					}
				case err != nil:
					t.Fatalf("hold: %v", err)
				default:
					holds[id] = &kept{m, p, true}
					ids = append(ids, id)
					w.available, w.held = w.available-p, w.held+p
				}
			case 3: // commit of a hold, with less, the same or more than was kept
				id := "none"
				if len(ids) > 0 && rapid.Bool().Draw(t, "with a hold") {
					id = ids[rapid.IntRange(0, len(ids)-1).Draw(t, "which")]
				}
				d.sale(fmt.Sprint(i), m, 0, spend(id, p))
				left := p
				if h := holds[id]; h != nil && h.live && h.m == m {
					n := min(left, h.points)
					left -= n
					w.held -= h.points
					w.available += h.points - n
					w.spent += n
					h.live = false
				} else if h == nil {
					holds[id] = &kept{m, 0, false}
				}
				n := min(left, w.available)
				w.available -= n
				w.lost -= left - n
				w.spent += left
			case 4:
				id := fmt.Sprintf("h%d", rapid.IntRange(0, 9).Draw(t, "void"))
				d.log(wire.TypeVoid, "", wire.Void{Hold: id})
				if h := holds[id]; h == nil {
					holds[id] = &kept{m, 0, false}
				} else if h.live {
					x := want[h.m]
					x.held, x.available = x.held-h.points, x.available+h.points
					h.live = false
				}
			case 5:
				d.log(wire.TypeUnresolved, "", wire.Unresolved{Hold: fmt.Sprintf("h%d", rapid.IntRange(0, 9).Draw(t, "hold"))})
			}
			d.flush()
		}
		for m, w := range want {
			s.c.want(m, Balance{Available: w.available, Held: w.held, Spent: w.spent, Issued: w.issued, Lost: w.lost})
		}
	})
}

// A transaction that dies in the middle leaves nothing; the same batch goes
// through afterwards, once.
func TestCrashBetween(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	for i := range 50 {
		d.sale(fmt.Sprint(i), ann, 10)
	}
	boom := errors.New("power cut")
	b := d.batch(50)
	b.packed = pack(b)
	j := &job{batch: b}
	err := c.db.Write(context.Background(), func(tx *db.Tx) error {
		if err := c.l.applyGroup(tx, []*job{j}); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	c.read(func(tx *db.Tx) error {
		for _, table := range []string{"entry", "balance", "receipt", "journal", "feed"} {
			var n int
			if _, err := tx.Row(`SELECT COUNT(*) FROM `+table, nil, &n); err != nil || n != 0 {
				t.Errorf("%s has %d rows, %v", table, n, err)
			}
		}
		return nil
	})
	d.flush()
	c.want(ann, Balance{Available: 500, Issued: -500})
}

// Batches of several tills that share a transaction do not share mistakes.
func TestGroupKeepsBatchesApart(t *testing.T) {
	c := open(t)
	c.member(ann)
	a, b, x := c.device(1), c.device(2), c.device(3)
	a.sale("1", ann, 100)
	b.sale("1", ann, 200)
	b.sale("2", 0xdead, 10)
	x.sale("1", ann, 400)
	wrong := x.batch(1)
	wrong.After = wire.Head{Seq: 7}
	var group []*job
	for _, batch := range []*Batch{a.batch(1), wrong, b.batch(2)} {
		batch.packed = pack(batch)
		group = append(group, &job{batch: batch})
	}
	c.l.write(context.Background(), c.db, group)
	if group[0].err != nil || group[2].err != nil || len(group[2].parked) != 1 {
		t.Errorf("good batches: %v, %v, parked %v", group[0].err, group[2].err, group[2].parked)
	}
	wantErr(t, group[1].err, ErrWatermark)
	c.want(ann, Balance{Available: 300, Issued: -300})
}

// Negative control: without the watermark the same batch books twice, and the
// figures say so. If this test fails the others prove nothing.
func TestWithoutTheWatermarkPointsDouble(t *testing.T) {
	c := open(t)
	c.member(ann)
	d := c.device(1)
	d.sale("1", ann, 100)
	d.log(wire.TypeEarn, "", wire.Earn{Member: ann.String(), Wallet: "points", Points: "5.00"})
	again := d.batch(2)
	d.flush()
	c.write(func(tx *db.Tx) error { // what dedupe switched off would be
		if err := tx.Exec(`UPDATE device SET acked_seq = 0, acked_hash = ?`, make([]byte, 32)); err != nil {
			return err
		}
		if err := tx.Exec(`DELETE FROM journal`); err != nil {
			return err
		}
		return tx.Exec(`DELETE FROM receipt`)
	})
	if _, err := c.in.Ingest(context.Background(), again); err != nil {
		t.Fatal(err)
	}
	if got := c.balance(ann); got.Available != 1200 {
		t.Errorf("balance %+v", got)
	}
}

func FuzzPrepare(f *testing.F) {
	for _, p := range []string{
		`{"member":"000000000000000b","result":{"lines":[{"id":"1","sku":"a","quantity":"1","gross":"10.00","net":"10.00"}],"totals":{"gross":"10.00","discount":"0.00","redeemed":"0.00","net":"10.00"},"earned":[{"rule":"b","wallet":"points","points":"1.00"}]}}`,
		`{"hold":"h","reverses":{"epoch":1,"seq":2},"moves":[{"wallet":"points","points":"1.00","back":"earned"}]}`,
		`{"original":"r","moves":[{"wallet":"points","points":"99999999999.00","back":"spent"}]}`,
		`{"member":"b","wallet":"points","points":"1.00","active_on":"2026-12-01"}`,
	} {
		for _, typ := range []wire.Type{wire.TypeCommit, wire.TypeVoid, wire.TypeReturn, wire.TypeEarn, wire.TypeHold} {
			f.Add(string(typ), p)
		}
	}
	dir := f.TempDir()
	c := newCentre(f, dir)
	f.Cleanup(c.close)
	c.member(ann)
	d := c.device(1)
	f.Fuzz(func(t *testing.T, typ, payload string) {
		c.t = t
		rec := &wire.Record{Device: d.id, Epoch: 1, Seq: d.acked.Seq + 1, Prev: d.acked.Hash, ID: "00000000-0000-7000-8000-000000000000",
			Type: wire.Type(typ), Wall: c.now, Boot: "b", Clock: wire.ClockGood, Receipt: "r", Payload: []byte(payload)}
		raw, err := wire.Encode(rec)
		if err != nil {
			return
		}
		d.queue = []*Item{Prepare(rec.Seq, raw, rec, "")}
		d.send(1) // booked or parked, never an error
		b := c.balance(ann)
		if p := b.sound(); p != "" {
			t.Error(p)
		}
	})
}
