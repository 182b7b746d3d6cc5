package till

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// fakeLink is a centre in memory.
type fakeLink struct {
	mu      sync.Mutex
	online  bool
	known   map[wire.Ref]*wire.AnswerMember
	holds   []wire.AskHold
	refuse  string // reason of a refusal
	silence bool   // no answer at all
	sales   map[string]*wire.AnswerReceipt
	asked   []wire.AskReceipt
}

func (l *fakeLink) set(f func(*fakeLink)) { l.mu.Lock(); defer l.mu.Unlock(); f(l) }
func (l *fakeLink) Online() bool          { l.mu.Lock(); defer l.mu.Unlock(); return l.online }
func (l *fakeLink) Status() LinkStatus {
	s := LinkStatus{Mode: "offline"}
	if l.Online() {
		s.Mode = "online"
	}
	return s
}

var errSilent = errors.New("no answer")

func (l *fakeLink) AskMember(_ context.Context, ref wire.Ref) (*wire.AnswerMember, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.online || l.silence {
		return nil, errSilent
	}
	if a := l.known[ref]; a != nil {
		return a, nil
	}
	return nil, errSilent
}

func (l *fakeLink) AskHold(_ context.Context, ask wire.AskHold) (*wire.AnswerHold, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds = append(l.holds, ask)
	switch {
	case !l.online || l.silence:
		return nil, errSilent
	case l.refuse != "":
		return &wire.AnswerHold{Reason: l.refuse}, nil
	}
	return &wire.AnswerHold{Granted: true, Points: ask.Points, Available: "80.00"}, nil
}

func (l *fakeLink) AskReceipt(_ context.Context, ask wire.AskReceipt) (*wire.AnswerReceipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, ask)
	if !l.online || l.silence {
		return nil, errSilent
	}
	if a := l.sales[ask.Number]; a != nil {
		return a, nil
	}
	for _, a := range l.sales {
		if ask.Number == "" && ask.Fiscal != "" && a.Fiscal == ask.Fiscal {
			return a, nil
		}
	}
	return &wire.AnswerReceipt{}, nil
}

// fakeDevices is a printer and a display on paper.
type fakeDevices struct {
	printer *fakePrinter
	display *fakeDisplay
}

func (d *fakeDevices) States() []DeviceState {
	return []DeviceState{{Name: "printer", Kind: "printer", State: "ok"}}
}
func (d *fakeDevices) Printer() drivers.Printer {
	if d.printer == nil {
		return nil
	}
	return d.printer
}
func (d *fakeDevices) Display() drivers.Display {
	if d.display == nil {
		return nil
	}
	return d.display
}

type fakePrinter struct {
	mu      sync.Mutex
	state   drivers.Code
	outcome drivers.Outcome
	slips   []drivers.Slip
}

func (p *fakePrinter) Open(context.Context) error { return nil }
func (p *fakePrinter) Close() error               { return nil }
func (p *fakePrinter) String() string             { return "paper" }
func (p *fakePrinter) Columns() int               { return 32 }
func (p *fakePrinter) State() drivers.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return drivers.State{Code: p.state}
}
func (p *fakePrinter) Status(context.Context) (drivers.Status, error) { return drivers.Status{}, nil }
func (p *fakePrinter) Print(_ context.Context, s drivers.Slip) (drivers.Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slips = append(p.slips, s)
	return p.outcome, nil
}
func (p *fakePrinter) printed() []drivers.Slip {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]drivers.Slip(nil), p.slips...)
}

type fakeDisplay struct {
	mu    sync.Mutex
	lines [][2]string
}

func (d *fakeDisplay) Open(context.Context) error { return nil }
func (d *fakeDisplay) Close() error               { return nil }
func (d *fakeDisplay) String() string             { return "glass" }
func (d *fakeDisplay) State() drivers.State       { return drivers.State{Code: drivers.Ready} }
func (d *fakeDisplay) Size() (columns, rows int)  { return 20, 2 }
func (d *fakeDisplay) last() (top, bottom string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.lines) == 0 {
		return "", ""
	}
	l := d.lines[len(d.lines)-1]
	return l[0], l[1]
}
func (d *fakeDisplay) Show(_ context.Context, top, bottom string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, [2]string{top, bottom})
	return nil
}

// bench is a till on a bench: real stores, real rules, real HTTP, everything
// else made of paper.
type bench struct {
	t       *testing.T
	dir     string
	till    *Till
	server  *httptest.Server
	link    *fakeLink
	devices *fakeDevices
	journal *store.Journal
	cache   *store.Cache
	health  *health.Tracker
	token   string
	log     *bytes.Buffer
	logMu   sync.Mutex
	stop    func()
}

var testKey = bytes.Repeat([]byte{7}, 32)

const (
	annasCard = "2000000125008"
	annasID   = loyalty.MemberID(0x1234)
)

func rulebook(t testing.TB) []byte {
	b, err := os.ReadFile("../../configs/rulebooks/grocer.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) Write(p []byte) (int, error) {
	b.logMu.Lock()
	defer b.logMu.Unlock()
	return b.log.Write(p)
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	b := &bench{t: t, dir: t.TempDir(), link: &fakeLink{online: true, known: map[wire.Ref]*wire.AnswerMember{}},
		devices: &fakeDevices{printer: &fakePrinter{state: drivers.Ready, outcome: drivers.OutcomePrinted}, display: &fakeDisplay{}}, log: &bytes.Buffer{}}
	programs := OpenPrograms(b.dir)
	var err error
	if b.token, err = programs.Add("test", 1, time.Now()); err != nil {
		t.Fatal(err)
	}
	b.open(change...)
	b.put(annasCard, &loyalty.Member{ID: annasID, FirstName: "Anna", AsOf: time.Now().Add(-time.Hour),
		Wallets: map[string]loyalty.Balance{"points": {Active: 10000}}}, "active", wire.Mark{Epoch: 1})
	return b
}

// open starts the till; called again it is a restart on the same folder.
func (b *bench) open(change ...func(*Config)) {
	t := b.t
	var err error
	b.journal, err = store.OpenJournal(b.dir, store.Options{Identity: outbox.Identity{Device: "dev-0123456789", Epoch: 1},
		Stamp: func() outbox.Stamp { return outbox.Stamp{Wall: time.Now(), Boot: "b", Clock: wire.ClockGood} }})
	if err != nil {
		t.Fatal(err)
	}
	if b.cache, err = store.OpenCache(b.dir, nil); err != nil {
		t.Fatal(err)
	}
	rules, _, err := Compile(rulebook(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	b.health = &health.Tracker{}
	c := Config{Store: "s1", Till: "t1", Device: "dev-0123456789", Language: "en", LookupKey: testKey, TokenKey: testKey,
		Patience: 2 * time.Second, Journal: b.journal, Cache: b.cache, Rules: func() Rules { return rules }, Link: b.link, Devices: b.devices,
		Programs: OpenPrograms(b.dir), Health: b.health, Log: slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&c)
	}
	if b.till, err = New(c); err != nil {
		t.Fatal(err)
	}
	if err := b.till.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewServer(b.till.Handler(http.NotFoundHandler()))
	b.till.SetAddress(b.server.Listener.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.till.PrintSlips(ctx) })
	wg.Go(func() { _ = b.till.RunDisplay(ctx) })
	b.stop = sync.OnceFunc(func() {
		b.till.Close()
		b.server.Close()
		cancel()
		wg.Wait()
		b.journal.Close()
		b.cache.Close()
	})
	t.Cleanup(func() {
		b.stop()
		if t.Failed() {
			t.Log(b.log.String())
		}
	})
}

func (b *bench) restart(change ...func(*Config)) { b.stop(); b.open(change...) }

// put gives the cache a member.
func (b *bench) put(card string, m *loyalty.Member, status string, includes wire.Mark) {
	b.t.Helper()
	refs := []wire.RefState{{Ref: wire.CardRef(testKey, wire.KindCard, card), Kind: "card", Status: status}}
	if err := b.cache.Update(func(tx *store.CacheTx) error {
		return tx.PutMember(refs, store.Snapshot{Member: m, Includes: includes})
	}); err != nil {
		b.t.Fatal(err)
	}
}

type answer struct {
	status int
	body   []byte
	header http.Header
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if a.status/100 != 2 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

// code is the error code of a refusal.
func (a answer) code() string {
	var e errorAnswer
	_ = json.Unmarshal(a.body, &e)
	return e.Error.Code
}

// do makes a request as a cash program does.
func (b *bench) do(method, path, key string, body any, change ...func(*http.Request)) answer {
	b.t.Helper()
	var r io.Reader
	if body != nil {
		s, ok := body.(string)
		if !ok {
			s = string(mustJSON(body))
		}
		r = strings.NewReader(s)
	}
	req, err := http.NewRequest(method, b.server.URL+path, r)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	for _, f := range change {
		f(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, out, resp.Header}
}

func (b *bench) post(path, key string, body any) answer {
	b.t.Helper()
	return b.do("POST", path, key, body)
}

func (b *bench) identify(card string) MemberAnswer {
	b.t.Helper()
	var a MemberAnswer
	b.post("/v1/identify", "", map[string]string{"input": card}).into(b.t, &a)
	return a
}

// basket is a receipt of 200.00 in ordinary goods.
func basket(member, spend string) string {
	return fmt.Sprintf(`{"member":%q,"currency":"GBP","spend":%q,"lines":[
		{"sku":"1","name":"Coffee","category":"food/coffee","quantity":"4","price":"40.00"},
		{"sku":"2","name":"Bread","category":"food/bakery","quantity":"16","price":"2.50"}]}`, member, spend)
}

// records lists the types in the journal.
func (b *bench) records() (types []string) {
	b.t.Helper()
	err := b.journal.Box().Each(func(_ uint64, rec []byte) error {
		r, err := wire.DecodeRecord(rec)
		if err == nil {
			types = append(types, string(r.Type))
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return types
}

func (b *bench) wait(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatal("waited in vain for " + what)
		}
	}
}
