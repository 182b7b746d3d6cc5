package e2e

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/agenttest"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/configs/rulebooks"
	"github.com/tillside/tillside/sync/wire"
)

// taken is a centre in wrong hands: it knows the protocol and the till, holds no
// key of rulebooks, and sends what the test says.
type taken struct {
	t   *testing.T
	url string

	mu   sync.Mutex
	ws   *websocket.Conn
	upto map[wire.Lane]uint64
}

func newTaken(t *testing.T) *taken {
	c := &taken{t: t, upto: map[wire.Lane]uint64{}}
	up := websocket.Upgrader{Subprotocols: []string{wire.Subprotocol}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		c.serve(ws)
	}))
	t.Cleanup(srv.Close)
	c.url = "ws" + strings.TrimPrefix(srv.URL, "http") + wire.SyncPath
	return c
}

func frame(ws *websocket.Conn, f wire.Frame) error {
	msg, bin, err := wire.EncodeFrame(f)
	if err != nil {
		return err
	}
	kind := websocket.TextMessage
	if bin {
		kind = websocket.BinaryMessage
	}
	return ws.WriteMessage(kind, msg)
}

func (c *taken) serve(ws *websocket.Conn) {
	if frame(ws, &wire.Challenge{Nonce: make([]byte, wire.NonceSize), Version: 1, MinVersion: 1, SendMS: time.Now().UnixMilli()}) != nil {
		return
	}
	_, msg, err := ws.ReadMessage()
	if err != nil {
		return
	}
	f, err := wire.DecodeFrame(msg, false)
	hello, ok := f.(*wire.Hello)
	if err != nil || !ok {
		return
	}
	body, err := hello.Body()
	if err != nil {
		return
	}
	c.mu.Lock()
	for lane, n := range body.Cursors {
		c.upto[wire.Lane(lane)] = n
	}
	err = frame(ws, &wire.Welcome{Version: 1, SessionNo: body.SessionNo + 1, Window: 4, RecvMS: time.Now().UnixMilli(), SendMS: time.Now().UnixMilli()})
	c.ws = ws
	c.mu.Unlock()
	for err == nil { // the till's records, pings and acknowledgements are read and dropped
		_, _, err = ws.ReadMessage()
	}
	c.mu.Lock()
	if c.ws == ws {
		c.ws = nil
	}
	c.mu.Unlock()
}

// feed sends items of a lane, as soon as the till is there.
func (c *taken) feed(lane wire.Lane, items ...json.RawMessage) {
	c.t.Helper()
	until(c.t, "the till is connected", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.ws != nil })
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &wire.Feed{Lane: lane, After: c.upto[lane], Upto: c.upto[lane] + 1, Items: items}
	c.upto[lane]++
	if c.ws != nil {
		_ = frame(c.ws, f) // an error is a till that has hung up, which is its right
	}
}

// raw sends bytes as they are.
func (c *taken) raw(kind int, b []byte) {
	c.t.Helper()
	until(c.t, "the till is connected", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.ws != nil })
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ws != nil {
		_ = c.ws.WriteMessage(kind, b)
	}
}

func item(t *testing.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// grocer is the sample rulebook, changed.
func grocer(t *testing.T, change func(map[string]any)) []byte {
	t.Helper()
	doc, err := rulebooks.Get("grocer")
	if err != nil {
		t.Fatal(err)
	}
	if change == nil {
		return doc
	}
	var m map[string]any
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	if doc, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	return doc
}

func stick(change func(m *loyalty.Member)) map[string]*loyalty.Member {
	m := &loyalty.Member{ID: 0x1234, FirstName: "Anna", Wallets: map[string]loyalty.Balance{"points": {Active: 10000}}}
	if change != nil {
		change(m)
	}
	return map[string]*loyalty.Member{"2000000125008": m}
}

// sells proves that the agent is alive and prices by the rulebook it had.
func sells(t *testing.T, a *agent.Agent, token, n string) (earned string) {
	t.Helper()
	var w who
	if code := call(t, a, token, "POST", "/v1/identify", "", `{"input":"2000000125008"}`, &w); code != http.StatusOK || w.Member.FirstName != "Anna" {
		t.Fatalf("identify: %d %+v", code, w)
	}
	var r struct {
		Earned []struct {
			Points string `json:"points"`
		} `json:"earned"`
	}
	body := `{"receipt":{"member":"` + w.Member.Token + `","lines":[{"sku":"7","name":"Coffee","quantity":"2","price":"12.50"}]}}`
	if code := call(t, a, token, "POST", "/v1/receipts/"+n+"/capture", n, body, &r); code != http.StatusOK {
		t.Fatalf("capture: %d", code)
	}
	for _, e := range r.Earned {
		earned += e.Points + " "
	}
	return earned
}

// TestBadRulebooksThroughTheAgent (F17, I26, I27, I28): every way a rulebook may
// be bad, sent to a real agent by a centre in wrong hands. It lives, sells by the
// last good one, says so, and takes the next good one.
func TestBadRulebooksThroughTheAgent(t *testing.T) {
	c := newTaken(t)
	dir := t.TempDir()
	book := grocer(t, nil)
	token := agenttest.Folder(t, dir, c.url, book, stick(nil))
	a, log, stop := work(t, dir, nil, nil)
	version := func() string { return a.Till().Status().Rulebook.Version }
	if !strings.HasSuffix(version(), "@1") {
		t.Fatalf("begins with %q", version())
	}
	first := sells(t, a, token, "first")
	wrong := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	signed := func(version int64, payload []byte, key ed25519.PrivateKey, change func(*wire.Bundle)) json.RawMessage {
		b := &wire.Bundle{Version: version, Name: "grocer", Tenant: agenttest.Tenant, Issued: time.Now().UTC().Truncate(time.Second), Payload: payload}
		if change != nil {
			change(b)
		}
		if err := b.Sign(key); err != nil {
			t.Fatal(err)
		}
		return item(t, b)
	}
	ours := agenttest.BundleKey()
	flipped := agenttest.Bundle(t, 2, book)
	flipped.Payload = bytes.Clone(book)
	flipped.Payload[len(book)/2] ^= 1
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i, bad := range []struct {
		name, reason string
		item         json.RawMessage
	}{
		{"flipped byte", "signature", item(t, flipped)},
		{"wrong key", "signature", signed(2, book, wrong, nil)},
		{"the root's key", "signature", signed(2, book, agenttest.RootKey(), nil)},
		{"expired", "expired", signed(2, book, ours, func(b *wire.Bundle) { b.NotAfter = time.Now().Add(-time.Hour).UTC().Truncate(time.Second) })},
		{"lower version with other content", "version", signed(1, grocer(t, func(m map[string]any) { m["screen"] = map[string]any{} }), ours, nil)},
		{"another store's", "scope", signed(2, book, ours, func(b *wire.Bundle) { b.Stores = []string{"s2"} })},
		{"another chain's", "tenant", signed(2, book, ours, func(b *wire.Bundle) { b.Tenant = "chain-2" })},
		{"deeply nested", "decode", signed(2, []byte(`{"rules":`+strings.Repeat("[", 200_000)+strings.Repeat("]", 200_000)+`}`), ours, nil)},
		{"a rule of an unknown kind", "decode", signed(2, grocer(t, func(m map[string]any) {
			m["rules"] = append(m["rules"].([]any), map[string]any{"id": "x", "name": "X", "then": []any{map[string]any{"make_rich": map[string]any{}}}})
		}), ours, nil)},
		{"a reward that no limit holds", "", signed(2, grocer(t, func(m map[string]any) {
			m["rules"] = append(m["rules"].([]any), map[string]any{"id": "x", "name": "X", "then": []any{map[string]any{"points": map[string]any{"wallet": "points", "points": "99999999999999999999"}}}})
		}), ours, nil)},
		{"vectors that do not come out", "vectors", signed(2, grocer(t, func(m map[string]any) {
			m["vectors"].([]any)[0].(map[string]any)["expect"].(map[string]any)["net"] = "1.00"
		}), ours, nil)},
		{"not an object", "decode", json.RawMessage(`12`)},
	} {
		had := strings.Count(log.String(), "rulebook rejected")
		c.feed(wire.LaneRulebook, bad.item)
		until(t, bad.name+" is rejected", func() bool { return strings.Count(log.String(), "rulebook rejected") > had })
		text := log.String()
		if last := text[strings.LastIndex(text, "rulebook rejected"):]; bad.reason != "" && !strings.Contains(last, "reason="+bad.reason) {
			t.Errorf("%s: %.200s", bad.name, last)
		}
		if !strings.HasSuffix(version(), "@1") {
			t.Fatalf("%s: %s is in force", bad.name, version())
		}
		if got := sells(t, a, token, fmt.Sprint("after", i)); got != first {
			t.Errorf("%s: earned %q, before %q", bad.name, got, first)
		}
	}

	// 100 MB: the till hangs up at the first message that is too large, and is
	// back; its memory has not grown by a tenth of that.
	large := append([]byte(`{"kind":"FEED","lane":"rulebook","after":0,"upto":9,"items":["`), bytes.Repeat([]byte("A"), 100<<20)...)
	c.raw(websocket.TextMessage, large)
	large = nil
	sells(t, a, token, "large")
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 64<<20 {
		t.Errorf("%d MB more are in use", grown>>20)
	}

	// The next good one is taken, and a restart knows it.
	c.feed(wire.LaneRulebook, signed(2, book, ours, nil))
	until(t, "the good one is in force", func() bool { return strings.HasSuffix(version(), "@2") })
	stop()
	a, _, _ = work(t, dir, nil, func(s *configs.Agent) { s.Centre.URL = "ws://127.0.0.1:1/v1/sync" })
	if got := a.Till().Status().Rulebook.Version; !strings.HasSuffix(got, "@2") {
		t.Errorf("after a restart %q is in force", got)
	}
	sells(t, a, token, "restarted")
}

// TestCentreInWrongHands (F20): what a taken centre may send besides rulebooks.
// The signed rulebook's limits hold, nobody gets another's points, the agent
// lives.
func TestCentreInWrongHands(t *testing.T) {
	c := newTaken(t)
	dir := t.TempDir()
	token := agenttest.Folder(t, dir, c.url, grocer(t, nil), stick(nil))
	a, log, _ := work(t, dir, nil, nil)
	first := sells(t, a, token, "first")
	huge := func(points string) json.RawMessage {
		return json.RawMessage(`{"do":"put","member":"0000000000001234","refs":[],"snapshot":{"id":"0000000000001234","wallets":{"points":{"active":"` + points + `"}}}}`)
	}
	root := agenttest.Root().Next()
	stolen, err := root.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	stolen.Sign(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	for i, f := range []struct {
		name  string
		lane  wire.Lane
		items []json.RawMessage
	}{
		{"keys of their own", wire.LaneTrust, []json.RawMessage{item(t, wire.TrustItem{Root: stolen.Bytes()}), item(t, wire.TrustItem{Root: bytes.Repeat([]byte("["), 1<<18)})}},
		{"amounts beyond all numbers", wire.LaneMember, []json.RawMessage{huge("99999999999999999999999"), huge("-1e9"), huge("NaN"), huge("")}},
		{"a member who is no number", wire.LaneMember, []json.RawMessage{json.RawMessage(`{"do":"put","member":"-1","snapshot":{}}`), json.RawMessage(`{"do":"fly","member":"00"}`), json.RawMessage(`[]`), json.RawMessage(`null`)}},
		{"leases without end", wire.LaneLease, []json.RawMessage{
			item(t, wire.LeaseItem{Do: wire.LeaseGrant, Lease: "l1", Member: "0000000000001234", Wallet: "points", Points: "99999999999.00", Epoch: 1}),
			item(t, wire.LeaseItem{Do: wire.LeaseGrant, Lease: "l2", Member: "0000000000001234", Wallet: "points", Points: "-500.00", Epoch: 1}),
			item(t, wire.LeaseItem{Do: wire.LeaseGrant, Lease: "l3", Member: "zz", Wallet: "", Points: "x", Epoch: 99}),
			item(t, wire.LeaseItem{Do: "explode", Lease: ""})}},
		{"quotas below zero", wire.LaneCommand, []json.RawMessage{
			item(t, wire.CommandItem{ID: "c1", Do: wire.CommandQuota, Args: json.RawMessage(`{"no":1,"budget":"b","epoch":1,"money":"-5.00"}`)}),
			item(t, wire.CommandItem{ID: "c2", Do: wire.CommandQuota, Args: json.RawMessage(`{"no":18446744073709551615,"budget":"","epoch":1}`)}),
			item(t, wire.CommandItem{ID: "c3", Do: "shell", Args: json.RawMessage(`"rm -rf /"`)})}},
		{"erasures of nobody", wire.LaneUrgent, []json.RawMessage{
			item(t, wire.UrgentItem{Do: wire.UrgentErase, Member: "ffffffffffffffff"}), item(t, wire.UrgentItem{Do: wire.UrgentErase, Member: "nobody"}),
			item(t, wire.UrgentItem{Do: "burn", Member: "0000000000001234"})}},
	} {
		c.feed(f.lane, f.items...)
		if got := sells(t, a, token, fmt.Sprint("after", i)); got != first {
			t.Errorf("%s: earned %q, before %q", f.name, got, first)
		}
	}
	until(t, "the stolen root is refused", func() bool { return strings.Contains(log.String(), "root refused") })
	if _, err := os.Stat(dir + "/" + agent.TrustFile); err != nil {
		t.Error(err)
	}
	// Frames nobody knows, an endless stream, noise.
	for range 2000 {
		c.raw(websocket.TextMessage, []byte(`{"kind":"SHELL","run":"format c:"}`))
	}
	c.raw(websocket.BinaryMessage, bytes.Repeat([]byte{2, 0xff}, 50_000))
	c.raw(websocket.TextMessage, bytes.Repeat([]byte("["), 200_000))
	sells(t, a, token, "last")

	// Whatever the centre claimed, the limits of the signed rulebook hold: without
	// a centre that answers, no more is spent than they allow.
	var w who
	call(t, a, token, "POST", "/v1/identify", "", `{"input":"2000000125008"}`, &w)
	var r struct {
		Spend *struct {
			Points string `json:"points"`
		} `json:"spend"`
		Totals struct {
			Net string `json:"net"`
		} `json:"totals"`
	}
	body := `{"member":"` + w.Member.Token + `","spend":"max","lines":[{"sku":"7","name":"Coffee","quantity":"1","price":"10.00"}]}`
	if code := call(t, a, token, "POST", "/v1/receipts/greedy/calculate", "", body, &r); code != http.StatusOK {
		t.Fatalf("calculate: %d", code)
	}
	if strings.HasPrefix(r.Totals.Net, "-") {
		t.Errorf("the customer is paid: %+v", r)
	}
}
