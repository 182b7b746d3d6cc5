package till

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tillside/tillside/agent/loyalty"
)

// TestHostileWebPage is everything a page in the cashier's browser can try.
func TestHostileWebPage(t *testing.T) {
	b := newBench(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(b.server.URL, "http://"), ":")
	own := "http://127.0.0.1:" + port
	origin := func(o string) func(*http.Request) { return func(r *http.Request) { r.Header.Set("Origin", o) } }
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	header := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	noToken := func(r *http.Request) { r.Header.Del("Authorization") }
	for _, c := range []struct {
		name, method, path, want string
		change                   []func(*http.Request)
	}{
		{"foreign origin", "GET", "/v1/status", "bad_origin", []func(*http.Request){origin("https://evil.example")}},
		{"origin null", "GET", "/v1/status", "bad_origin", []func(*http.Request){origin("null")}},
		{"empty origin", "GET", "/v1/status", "bad_origin", []func(*http.Request){origin("")}},
		{"own host on another port", "GET", "/v1/status", "bad_origin", []func(*http.Request){origin("http://127.0.0.1:1")}},
		{"https of our own", "GET", "/v1/status", "bad_origin", []func(*http.Request){origin("https://127.0.0.1:" + port)}},
		{"looks like ours", "GET", "/v1/status", "bad_origin", []func(*http.Request){origin(own + ".evil.example")}},
		{"two origins", "GET", "/v1/status", "bad_origin", []func(*http.Request){func(r *http.Request) { r.Header["Origin"] = []string{own, "https://evil.example"} }}},
		{"origin with a token of ours", "POST", "/v1/identify", "bad_origin", []func(*http.Request){origin("https://evil.example")}},
		{"rebound name", "GET", "/v1/status", "bad_host", []func(*http.Request){host("evil.example:" + port)}},
		{"rebound name, open call", "GET", "/healthz", "bad_host", []func(*http.Request){host("evil.example:" + port), noToken}},
		{"rebound name, page", "GET", "/cashier", "bad_host", []func(*http.Request){host("evil.example:" + port), noToken}},
		{"rebound, no port", "GET", "/v1/status", "bad_host", []func(*http.Request){host("127.0.0.1")}},
		{"trailing dot", "GET", "/v1/status", "bad_host", []func(*http.Request){host("localhost.:" + port)}},
		{"other loopback", "GET", "/v1/status", "bad_host", []func(*http.Request){host("127.0.0.2:" + port)}},
		{"image in a page", "GET", "/metrics", "bad_origin", []func(*http.Request){header("Sec-Fetch-Site", "cross-site"), noToken}},
		{"form post", "POST", "/v1/receipts/R1/void", "not_json", []func(*http.Request){header("Content-Type", "application/x-www-form-urlencoded")}},
		{"plain text post", "POST", "/v1/receipts/R1/void", "not_json", []func(*http.Request){header("Content-Type", "text/plain")}},
		{"json in disguise", "POST", "/v1/receipts/R1/void", "not_json", []func(*http.Request){header("Content-Type", "text/plain; application/json")}},
		{"no token", "GET", "/v1/status", "unauthorised", []func(*http.Request){noToken}},
		{"wrong token", "GET", "/v1/status", "unauthorised", []func(*http.Request){header("Authorization", "Bearer "+strings.Repeat("a", 32))}},
		{"other scheme", "GET", "/v1/status", "unauthorised", []func(*http.Request){header("Authorization", "Basic "+b.token)}},
		{"token as subprotocol elsewhere", "GET", "/v1/status", "unauthorised", []func(*http.Request){noToken, header("Sec-WebSocket-Protocol", "bearer."+b.token)}},
		{"write by GET", "GET", "/v1/receipts/R1/capture", "method_not_allowed", nil},
		{"preflight", "OPTIONS", "/v1/identify", "bad_origin", []func(*http.Request){origin("https://evil.example"), header("Access-Control-Request-Method", "POST")}},
	} {
		var body any
		if c.method == "POST" {
			body = `{"input":"2000000125008"}`
		}
		a := b.do(c.method, c.path, "k", body, c.change...)
		if a.status < 400 || a.code() != c.want {
			t.Errorf("%s: %d %s, want %s", c.name, a.status, a.body, c.want)
		}
		for h := range a.header {
			if strings.HasPrefix(h, "Access-Control-") {
				t.Errorf("%s: answers with %s", c.name, h)
			}
		}
	}
	// Ours goes through, by all three names.
	for _, h := range []string{"127.0.0.1:", "localhost:", "[::1]:"} {
		if a := b.do("GET", "/v1/status", "", nil, host(h+port), origin("http://"+h+port)); a.status != 200 {
			t.Errorf("own page at %s: %d %s", h, a.status, a.body)
		}
	}
	if a := b.do("POST", "/v1/identify", "", `{"input":"`+strings.Repeat("1", 3<<20)+`"}`); a.status != 413 {
		t.Errorf("3 MiB: %d", a.status)
	}
	if got := b.records(); len(got) != 0 {
		t.Errorf("something had an effect: %v", got)
	}
}

func TestTokenIsTakenAwayAtOnce(t *testing.T) {
	b := newBench(t)
	other := OpenPrograms(b.dir) // as the command does it, in another process
	token, err := other.Add("second", 1, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	as := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	if a := b.do("GET", "/v1/status", "", nil, as); a.status != 200 {
		t.Errorf("new token: %d", a.status)
	}
	if was, err := other.Remove("second"); !was || err != nil {
		t.Fatal(was, err)
	}
	if a := b.do("GET", "/v1/status", "", nil, as); a.status != 401 {
		t.Errorf("removed token: %d", a.status)
	}
	if _, err := other.Add("../x", 1, time.Now()); err == nil {
		t.Error("a bad name was taken")
	}
}

func TestLocalCommandNeedsTheSecret(t *testing.T) {
	b := newBench(t)
	as := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	if a := b.do("GET", "/v1/status", "", nil, as(LocalToken(testKey))); a.status != 200 {
		t.Errorf("with the secret: %d", a.status)
	}
	if a := b.do("GET", "/v1/status", "", nil, as(LocalToken(make([]byte, 32)))); a.status != 401 {
		t.Errorf("with another: %d", a.status)
	}
}

func TestErrorsSpeakTheTillsLanguage(t *testing.T) {
	for lang, want := range map[string]string{"en": "not a card", "ru": "не номер", "pl": "nie jest numer"} {
		b := newBench(t, func(c *Config) { c.Language = lang })
		a := b.post("/v1/identify", "", `{}`)
		var e errorAnswer
		if err := json.Unmarshal(a.body, &e); err != nil || !strings.Contains(e.Error.Message, want) || e.Error.Field != "input" || e.Error.Hint == "" {
			t.Errorf("%s: %s", lang, a.body)
		}
	}
	for code, c := range codes {
		for lang, w := range map[string]wording{"en": c.en, "ru": c.ru, "pl": c.pl} {
			if w.text == "" || strings.Count(w.text, "%") != strings.Count(c.en.text, "%") || (w.hint == "") != (c.en.hint == "") {
				t.Errorf("%s in %s: %+v", code, lang, w)
			}
		}
		if c.status < 400 {
			t.Errorf("%s has status %d", code, c.status)
		}
	}
}

func TestEventStream(t *testing.T) {
	b := newBench(t)
	url := "ws" + strings.TrimPrefix(b.server.URL, "http") + "/v1/events"
	own := b.server.URL
	dial := func(origin string, protocols ...string) (*websocket.Conn, int) {
		d := websocket.Dialer{Subprotocols: protocols, HandshakeTimeout: 10 * time.Second}
		h := http.Header{}
		if origin != "" {
			h.Set("Origin", origin)
		}
		c, resp, err := d.Dial(url, h)
		if err != nil {
			if resp == nil {
				t.Fatal(err)
			}
			return nil, resp.StatusCode
		}
		return c, resp.StatusCode
	}
	good := []string{"tillside.v1", "bearer." + b.token}
	for name, c := range map[string]struct {
		origin    string
		protocols []string
		want      int
	}{
		"foreign page": {"https://evil.example", good, 403},
		"null":         {"null", good, 403},
		"no token":     {own, []string{"tillside.v1"}, 401},
		"wrong token":  {own, []string{"tillside.v1", "bearer.x"}, 401},
	} {
		if conn, status := dial(c.origin, c.protocols...); conn != nil || status != c.want {
			t.Errorf("%s: %d", name, status)
		}
	}
	conn, _ := dial(own, good...)
	if conn == nil {
		t.Fatal("own page was refused")
	}
	defer conn.Close()
	if conn.Subprotocol() != "tillside.v1" {
		t.Errorf("subprotocol %q", conn.Subprotocol())
	}
	seen := map[string]Event{}
	read := func(conn *websocket.Conn, until string) Event {
		t.Helper()
		for {
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			var e Event
			if err := conn.ReadJSON(&e); err != nil {
				t.Fatalf("waiting for %s: %v", until, err)
			}
			seen[e.Type] = e
			if e.Type == until {
				return e
			}
		}
	}
	read(conn, "health")
	if seen["link"].Mode != "online" || seen["device"].Device == nil {
		t.Errorf("first events: %+v", seen)
	}
	who := b.identify(annasCard)
	if e := read(conn, "member"); e.Known == nil || !*e.Known {
		t.Errorf("member: %+v", e)
	}
	b.post("/v1/receipts/R1/calculate", "", basket(who.Member.Token, ""))
	if e := read(conn, "receipt"); e.State != "open" || e.Result == nil {
		t.Errorf("receipt: %+v", e)
	}
	// A page that comes late sees the sale in progress.
	late, _ := dial(own, good...)
	defer late.Close()
	if e := read(late, "receipt"); e.Receipt != "R1" {
		t.Errorf("late: %+v", e)
	}
	b.stop() // the server ends with listeners connected
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
				t.Errorf("end: %v", err)
			}
			break
		}
	}
}

func TestOpenAPI(t *testing.T) {
	b := newBench(t)
	var doc struct {
		Paths      map[string]map[string]json.RawMessage `json:"paths"`
		Components json.RawMessage                       `json:"components"`
	}
	b.do("GET", "/v1/openapi.json", "", nil).into(t, &doc)
	for _, rt := range routes {
		if doc.Paths[rt.path][strings.ToLower(rt.method)] == nil {
			t.Errorf("%s %s is not in the document", rt.method, rt.path)
		}
	}
	// What the calls really answer fits the schemas of the document.
	whole, err := jsonschema.UnmarshalJSON(strings.NewReader(string(openAPI())))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("api.json", whole); err != nil {
		t.Fatal(err)
	}
	fits := func(name string, body []byte) {
		t.Helper()
		s, err := c.Compile("api.json#/components/schemas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); err != nil {
			t.Errorf("%s: %v\n%s", name, err, body)
		}
	}
	id := b.post("/v1/identify", "", `{"input":"2000000125008"}`)
	fits("MemberAnswer", id.body)
	var who MemberAnswer
	id.into(t, &who)
	body := basket(who.Member.Token, "10")
	fits("BasketBody", []byte(body))
	fits("SaleAnswer", b.post("/v1/receipts/R1/calculate", "", body).body)
	fits("SaleAnswer", b.post("/v1/receipts/R1/authorise", "a", body).body)
	capture := `{"fiscal_number":"1","shift":"S","tenders":[{"kind":"cash","amount":"1.00"}],"print":"agent"}`
	fits("CaptureBody", []byte(capture))
	fits("CaptureAnswer", b.post("/v1/receipts/R1/capture", "c", capture).body)
	fits("ReceiptView", b.do("GET", "/v1/receipts/R1", "", nil).body)
	fits("OperationAnswer", b.do("GET", "/v1/operations/c", "", nil).body)
	fits("StateAnswer", b.post("/v1/receipts/R1/void", "v", `{}`).body)
	fits("ReconcileAnswer", b.post("/v1/shifts/S/reconcile", "s", `{"receipts":1}`).body)
	fits("Status", b.do("GET", "/v1/status", "", nil).body)
	fits("ErrorAnswer", b.post("/v1/identify", "", `{}`).body)
	if s, _ := c.Compile("api.json#/components/schemas/BasketBody"); s != nil {
		if s.Validate(map[string]any{"lines": []any{}, "colour": "red"}) == nil {
			t.Error("the schema lets unknown fields through")
		}
	}
}

func TestSchemaKnowsEveryKind(t *testing.T) {
	s := schemas{done: map[reflect.Type]string{}, defs: map[string]any{}}
	if got := s.of(reflect.TypeFor[loyalty.Receipt]()); got["$ref"] != "#/components/schemas/Receipt" {
		t.Errorf("%v", got)
	}
}

func TestMetricsAreText(t *testing.T) {
	b := newBench(t)
	b.identify(annasCard)
	a := b.do("GET", "/metrics", "", nil)
	for _, want := range []string{"tillside_link_up 1\n", `tillside_request_seconds_count{call="identify",status="200"} 1`, "# TYPE tillside_receipts_total counter"} {
		if !strings.Contains(string(a.body), want) {
			t.Errorf("metrics lack %q", want)
		}
	}
	for line := range strings.Lines(string(a.body)) {
		if !strings.HasPrefix(line, "#") && len(strings.Fields(line)) != 2 {
			t.Errorf("not a sample: %q", line)
		}
	}
}

func TestMemberTokenIsSealed(t *testing.T) {
	s, err := newSealer(testKey)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	id := annasID
	token := s.seal(claim{Member: &id, Entry: "scan", At: now})
	if c, err := s.open(token, now.Add(tokenLife)); err != nil || *c.Member != id || c.Entry != "scan" {
		t.Errorf("%+v %v", c, err)
	}
	if _, err := s.open(token, now.Add(tokenLife+time.Second)); err == nil {
		t.Error("an old token opens")
	}
	for i := range len(token) {
		b := []byte(token)
		b[i] ^= 1
		if c, err := s.open(string(b), now); err == nil && (*c.Member != id || i < len(token)-1) {
			t.Errorf("changed at %d, still opens", i)
		}
	}
	other, _ := newSealer(make([]byte, 32))
	if _, err := other.open(token, now); err == nil {
		t.Error("another agent's token opens")
	}
}

func FuzzRequestBodies(f *testing.F) {
	f.Add([]byte(basket("x", "max")))
	f.Add([]byte(`{"tenders":[{"kind":"cash","amount":"1.00"}],"receipt":{"lines":[]}}`))
	f.Add([]byte(`{"a":[[[[[[{"b":{"c":null}}]]]]]]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var basket basketBody
		if decode(b, &basket) == nil {
			if err := decode(mustJSON(basket), &basketBody{}); err != nil {
				t.Errorf("read, written and not read again: %v", err)
			}
		}
		_ = decode(b, &captureBody{})
		_ = decode(b, &returnBody{})
		_ = decode(b, &fiscalBody{})
		_ = decode(b, &fiscalDo{})
		_ = decode(b, &scanBody{})
		_ = decode(b, &reconcileBody{})
	})
}
