package faults

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/e2e/cash"
	"github.com/tillside/tillside/agent/e2e/world"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/linktest"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// chain is a centre and some tills, the real programs, in one folder.
type chain struct {
	t       *testing.T
	dir     string
	centre  *world.Process
	tills   []*killTill
	members []loyalty.MemberID
}

// killTill is one till of the chain and its cash program.
type killTill struct {
	dir  string
	proc *world.Process
	cash *cash.Till
	link *linktest.Proxy

	told  map[string]int // kind -> answers
	sold  map[string]bool
	moved map[string]loyalty.Points // member's card -> points earned minus spent, as told
}

const startPoints = 100_000_00 // of each member: she can spend all day

func newChain(t *testing.T, tills int) *chain {
	t.Helper()
	c := &chain{t: t, dir: scratch(t)}
	ctx := t.Context()
	data := filepath.Join(c.dir, "centre")
	d, err := db.Open(ctx, data)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Write(ctx, func(tx *db.Tx) error {
		l := &ledger.Ledger{Now: time.Now, Zone: time.UTC}
		room := &members.Room{Ledger: l, Now: time.Now}
		for _, card := range cards {
			id, err := room.Add(tx, members.Person{FirstName: "Anna"})
			if err != nil {
				return err
			}
			if err := room.AddCard(tx, id, wire.KindCard, card, "", "active"); err != nil {
				return err
			}
			if _, err := l.AdjustBy(tx, id, "points", startPoints, "start-"+card, "to begin with"); err != nil {
				return err
			}
			c.members = append(c.members, id)
		}
		return nil
	})
	if e := d.Close(); err != nil || e != nil {
		t.Fatal(err, e)
	}
	listen := ownPort(t)
	central := program(t, "tillside-central")
	c.centre = &world.Process{Name: "centre", Path: central, Args: []string{"run", "--data", data, "--listen", listen},
		LogFile: filepath.Join(c.dir, "centre.log"), Ready: func() bool { return alive("https", listen) }}
	if err := c.centre.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.centre.Stop)
	c.run(central, "rulebook", "publish", "--data", data, "../../../configs/rulebooks/grocer.json")
	for n := 1; n <= tills; n++ {
		name := fmt.Sprint(n)
		k := &killTill{dir: filepath.Join(c.dir, "till"+name), told: map[string]int{}, sold: map[string]bool{}, moved: map[string]loyalty.Points{}}
		var added struct{ Code string }
		out := c.run(central, "till", "add", "--data", data, "--store", "s1", "--till", name, "--json")
		if err := json.Unmarshal([]byte(out), &added); err != nil || added.Code == "" {
			t.Fatalf("till add: %q", out)
		}
		exe := program(t, "tillside")
		if k.link, err = linktest.Listen(listen); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { k.link.Close() })
		c.run(exe, "enrol", "--data", k.dir, "--server", "https://"+k.link.Addr(), "--code", added.Code)
		token := strings.Fields(c.run(exe, "token", "add", "--data", k.dir, "cash"))
		addr := func() string {
			b, err := os.ReadFile(filepath.Join(k.dir, agent.AddressFile))
			if err != nil {
				return "127.0.0.1:1"
			}
			return strings.TrimSpace(string(b))
		}
		k.proc = &world.Process{Name: "till " + name, Path: exe, Args: []string{"run", "--data", k.dir, "--listen", "127.0.0.1:0"},
			LogFile: filepath.Join(c.dir, "till"+name+".log"), Ready: func() bool { return alive("http", addr()) }}
		k.cash = &cash.Till{Address: addr, Token: token[len(token)-1], Patience: 2 * time.Minute}
		if err := k.proc.Start(ctx); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.proc.Stop)
		c.tills = append(c.tills, k)
	}
	for _, k := range c.tills {
		until(t, "the till has the rulebook and its members", func() bool {
			st, err := k.status(ctx)
			return err == nil && st.Rulebook.Version != "" && st.Mode == "online"
		})
	}
	return c
}

// ownPort is an address that stays ours while nobody listens there: ports that
// the system hands out to callers could be taken meanwhile, even by somebody
// who tries to reach this very address and meets himself.
func ownPort(t *testing.T) string {
	t.Helper()
	for n := range 2000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 18000+(os.Getpid()*7+n)%12000)
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

func (c *chain) run(path string, args ...string) string {
	c.t.Helper()
	out, err := world.Run(c.t.Context(), path, args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// alive asks a program that has just started; whose certificate it shows does
// not matter here.
func alive(scheme, addr string) bool {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	resp, err := client.Get(scheme + "://" + addr + "/healthz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

type tillStatus struct {
	Mode     string
	Rulebook struct{ Version string }
	Journal  struct {
		Epoch      uint32
		Seq, Acked uint64
	}
	Link struct{ Parked int }
}

func (k *killTill) status(ctx context.Context) (st tillStatus, err error) {
	err = k.cash.Call(ctx, http.MethodGet, "/v1/status", "", nil, &st)
	return st, err
}

// sell works until ctx is done, making every call again until it is answered.
func (k *killTill) sell(ctx context.Context, name string) error {
	for i := 1; ctx.Err() == nil; i++ {
		if err := k.one(context.WithoutCancel(ctx), fmt.Sprintf("%s-%d", name, i), i); err != nil {
			return err
		}
	}
	return nil
}

func (k *killTill) one(ctx context.Context, id string, i int) error {
	basket := map[string]any{"currency": "GBP", "lines": []map[string]any{{"id": "1", "sku": fmt.Sprint(100 + i%9), "quantity": "1", "price": fmt.Sprintf("%d.40", 5+i%40), "category": "food"}}}
	card := ""
	if i%4 > 0 {
		card = cards[i%len(cards)]
		var who struct {
			Member struct{ Token string }
		}
		for { // no key, no effect: asked again until it is answered
			err := k.cash.Call(ctx, http.MethodPost, "/v1/identify", "", map[string]string{"input": card}, &who)
			if err == nil {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		basket["member"] = who.Member.Token
	}
	var a cash.Answer
	if i%3 == 0 || i%7 == 0 {
		if i%3 == 0 && card != "" {
			basket["spend"] = "1"
		}
		if err := k.cash.Call(ctx, http.MethodPost, "/v1/receipts/"+id+"/authorise", id+"-a", basket, &a); err != nil {
			return fmt.Errorf("authorise %s: %w", id, err)
		}
		if i%11 == 0 {
			if err := k.cash.Call(ctx, http.MethodPost, "/v1/receipts/"+id+"/void", id+"-v", map[string]any{}, nil); err != nil {
				return fmt.Errorf("void %s: %w", id, err)
			}
			k.told["void"]++
			return nil
		}
		if err := k.cash.Call(ctx, http.MethodPost, "/v1/receipts/"+id+"/capture", id+"-c", map[string]any{"shift": "S"}, &a); err != nil {
			return fmt.Errorf("capture %s: %w", id, err)
		}
	} else if err := k.cash.Call(ctx, http.MethodPost, "/v1/receipts/"+id+"/capture", id+"-c", map[string]any{"shift": "S", "receipt": basket}, &a); err != nil {
		return fmt.Errorf("capture %s: %w", id, err)
	}
	k.told["capture"]++
	k.sold[id] = true
	for _, e := range a.Result.Earned {
		k.moved[card] += e.Points
	}
	if s := a.Result.Spend; s != nil && s.Points > 0 {
		k.told["spend"]++
		k.moved[card] -= s.Points
	}
	return nil
}

// TestKills (F4) kills the centre, the tills, and both at once, with SIGKILL
// and under load. What the cash programs were told is at both ends, once, and
// every member has what the receipts say.
func TestKills(t *testing.T) {
	most := pick(12, 2000)
	c := newChain(t, 2)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	end := time.Now().Add(share(12))
	var sellers sync.WaitGroup
	var failed atomic.Value
	for n, k := range c.tills {
		sellers.Go(func() {
			if err := k.sell(ctx, fmt.Sprintf("T%d", n+1)); err != nil {
				failed.Store(err)
			}
		})
	}
	r := rand.New(rand.NewPCG(*firstSeed, 4))
	kills, both := map[string]int{}, 0
	for n := 0; n < most && time.Now().Before(end) && failed.Load() == nil; {
		time.Sleep(time.Duration(20+r.IntN(150)) * time.Millisecond)
		var dead []*world.Process
		what := r.IntN(10)
		if what < 3 || what > 7 {
			dead = append(dead, c.centre)
			kills["centre"]++
		}
		if what >= 3 {
			dead = append(dead, c.tills[r.IntN(len(c.tills))].proc)
			kills["till"]++
		}
		if len(dead) == 2 {
			both++
		}
		n += len(dead)
		for _, p := range dead {
			p.Kill()
		}
		for _, p := range dead {
			if err := p.Start(t.Context()); err != nil {
				t.Fatalf("after %d kills: %v", n, err)
			}
		}
	}
	stop()
	sellers.Wait()
	if err, _ := failed.Load().(error); err != nil {
		t.Fatal(err)
	}
	// A till that has failed to reach the centre many times waits for minutes;
	// a start begins with a short wait again.
	for _, k := range c.tills {
		k.proc.Stop()
		if err := k.proc.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range c.tills {
		until(t, "the centre has all", func() bool {
			st, err := k.status(t.Context())
			return err == nil && st.Journal.Seq > 0 && st.Journal.Acked == st.Journal.Seq
		})
		st, err := k.status(t.Context())
		if err != nil || st.Link.Parked > 0 {
			t.Errorf("%d records parked, %v", st.Link.Parked, err)
		}
	}
	for _, k := range c.tills {
		k.proc.Stop()
	}
	c.centre.Stop()
	told := map[string]int{}
	lost, doubled := 0, 0
	for _, k := range c.tills {
		for kind, n := range k.told {
			told[kind] += n
		}
		l, d := c.compare(k)
		lost, doubled = lost+l, doubled+d
	}
	c.balances()
	did := fmt.Sprintf("%d kills (%d of the centre, %d of tills, %d of both at once); told: %v; %d lost, %d doubled",
		kills["centre"]+kills["till"], kills["centre"], kills["till"], both, told, lost, doubled)
	bad := lost + doubled
	if t.Failed() {
		bad = max(bad, 1)
	}
	rows.add("F4", "SIGKILL of centre, tills, and both, under load", did, bad)
	t.Log(did)
}

// compare holds what a cash program was told against the till's journal and
// what the centre keeps of it.
func (c *chain) compare(k *killTill) (lost, doubled int) {
	t := c.t
	id, err := agent.LoadIdentity(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	j, err := store.OpenJournal(k.dir, store.Options{Identity: id.Outbox(), Stamp: func() outbox.Stamp { return outbox.Stamp{} }})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if j.Aside != "" {
		t.Errorf("a journal was set aside: %s", j.Aside)
	}
	if err := j.Box().Verify(); err != nil {
		t.Error(err)
	}
	here := map[string]int{}
	hashes := map[uint64]wire.Hash{}
	err = j.Box().Each(func(seq uint64, b []byte) error {
		hashes[seq] = wire.HashOf(b)
		r, err := wire.DecodeRecord(b)
		if err == nil && r.Type == wire.TypeCommit {
			here[r.Receipt]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int{}
	c.read(func(tx *db.Tx) error {
		dev, err := fleet.ByID(tx, id.Device)
		if err != nil {
			return err
		}
		if int(dev.Acked.Seq) != len(hashes) {
			t.Errorf("the till has %d records, the centre %d", len(hashes), dev.Acked.Seq)
		}
		for seq := uint64(1); seq <= dev.Acked.Seq; seq++ {
			raw, err := ledger.Record(tx, dev.No, id.Epoch, seq)
			if err != nil {
				return fmt.Errorf("record %d: %w", seq, err)
			}
			if wire.HashOf(raw) != hashes[seq] {
				t.Errorf("record %d differs", seq)
			}
			r, err := wire.DecodeRecord(raw)
			if err != nil {
				return err
			}
			if r.Type == wire.TypeCommit {
				there[r.Receipt]++
			}
		}
		return nil
	})
	for id := range k.sold {
		switch n, m := here[id], there[id]; {
		case n == 0 || m == 0:
			lost++
			t.Errorf("%s was told and is lost: %d at the till, %d at the centre", id, n, m)
		case n > 1 || m > 1:
			doubled++
			t.Errorf("%s is there %d times at the till, %d at the centre", id, n, m)
		}
	}
	for id := range there {
		if !k.sold[id] {
			t.Errorf("%s is at the centre, and nobody was told", id)
		}
	}
	return lost, doubled
}

// balances holds each member's balance against the receipts, and proves the
// whole ledger.
func (c *chain) balances() {
	c.t.Helper()
	want := map[string]loyalty.Points{}
	for _, k := range c.tills {
		for card, p := range k.moved {
			want[card] += p
		}
	}
	c.read(func(tx *db.Tx) error {
		rep, err := ledger.Verify(tx)
		if err != nil {
			return err
		}
		if !rep.OK() {
			c.t.Errorf("ledger: %v", rep.Problems)
		}
		for i, id := range c.members {
			all, err := ledger.Balances(tx, id)
			if err != nil {
				return err
			}
			b := all["points"]
			if got := b.Available + b.Pending; got != startPoints+want[cards[i]] || b.Held != 0 {
				c.t.Errorf("member %d has %v and %v held; the receipts say %v (%v)", i, got, b.Held, startPoints+want[cards[i]], slices.Sorted(maps.Keys(want)))
			}
		}
		return nil
	})
}

func (c *chain) read(fn func(tx *db.Tx) error) {
	c.t.Helper()
	d, err := db.Open(c.t.Context(), filepath.Join(c.dir, "centre"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer d.Close()
	if err := d.Read(c.t.Context(), fn); err != nil {
		c.t.Fatal(err)
	}
}
