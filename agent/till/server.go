package till

import (
	"context"
	"encoding/json"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/local"
)

// request is one authorised call.
type request struct {
	*http.Request
	caller string
	body   []byte
	call   *call // for writing calls
}

// route is one line of the API: server, document and metrics all read it.
type route struct {
	method, path string
	name         string // operation id
	summary      string
	writes       bool // wants Idempotency-Key
	open         bool // no token
	in, out      any  // examples of the types, for the document
	plain        string
	serve        func(t *Till, ctx context.Context, r *request) (any, error)
}

// routes is the whole API.
var routes []route

func init() {
	routes = []route{
		{method: "POST", path: "/v1/identify", name: "identify", summary: "Who is the customer: scanned data or a typed number",
			in: identifyBody{}, out: MemberAnswer{}, serve: serveIdentify},
		{method: "POST", path: "/v1/receipts/{id}/calculate", name: "calculate", summary: "Price a basket, without any effect",
			in: basketBody{}, out: SaleAnswer{}, serve: func(t *Till, ctx context.Context, r *request) (any, error) {
				return with(r, func(id string, b *basketBody) (any, error) { return t.calculate(ctx, id, b) })
			}},
		{method: "POST", path: "/v1/receipts/{id}/spend", name: "spend", summary: "The cashier's choice of points for a basket that was calculated; kept until the receipt ends",
			in: spendBody{}, out: SaleAnswer{}, serve: func(t *Till, ctx context.Context, r *request) (any, error) {
				return with(r, func(id string, b *spendBody) (any, error) { return t.choose(ctx, id, b.Spend) })
			}},
		{method: "POST", path: "/v1/receipts/{id}/authorise", name: "authorise", summary: "Price for the last time before payment and hold the points it spends", writes: true,
			in: basketBody{}, out: SaleAnswer{}, serve: func(t *Till, ctx context.Context, r *request) (any, error) {
				return with(r, func(id string, b *basketBody) (any, error) { return t.authorise(ctx, r.call, id, b) })
			}},
		{method: "POST", path: "/v1/receipts/{id}/capture", name: "capture", summary: "Close a receipt after the fiscal close; durable before the answer", writes: true,
			in: captureBody{}, out: CaptureAnswer{}, serve: func(t *Till, ctx context.Context, r *request) (any, error) {
				return with(r, func(id string, b *captureBody) (any, error) { return t.capture(ctx, r.call, id, b) })
			}},
		{method: "POST", path: "/v1/receipts/{id}/void", name: "void", summary: "Release what a receipt holds, or take a captured one back whole", writes: true,
			in: voidBody{}, out: StateAnswer{}, serve: func(t *Till, ctx context.Context, r *request) (any, error) {
				return with(r, func(id string, b *voidBody) (any, error) { return t.void(ctx, r.call, id, b) })
			}},
		{method: "POST", path: "/v1/receipts/{id}/print", name: "print", summary: "Print a slip of a captured receipt again, marked as a copy", writes: true,
			in: printBody{}, out: PrintAnswer{}, serve: func(t *Till, ctx context.Context, r *request) (any, error) {
				return with(r, func(id string, b *printBody) (any, error) { return t.reprint(ctx, r.call, id, b) })
			}},
		{method: "GET", path: "/v1/receipts/{id}", name: "receipt", summary: "A receipt as this till knows it",
			out: ReceiptView{}, serve: func(t *Till, _ context.Context, r *request) (any, error) { return t.receiptView(r.PathValue("id")) }},
		{method: "POST", path: "/v1/returns/calculate", name: "return_calculate", summary: "What a return of lines gives back and takes back, without any effect",
			in: returnBody{}, out: ReturnAnswer{}, serve: func(t *Till, ctx context.Context, r *request) (any, error) {
				var b returnBody
				if err := decode(r.body, &b); err != nil {
					return nil, err
				}
				return t.returnCalculate(ctx, &b)
			}},
		{method: "POST", path: "/v1/returns/capture", name: "return_capture", summary: "Take lines of a captured receipt back", writes: true,
			in: returnBody{}, out: ReturnAnswer{}, serve: func(t *Till, ctx context.Context, r *request) (any, error) {
				var b returnBody
				if err := decode(r.body, &b); err != nil {
					return nil, err
				}
				return t.returnCapture(ctx, r.call, &b)
			}},
		{method: "GET", path: "/v1/operations/{key}", name: "operation", summary: "What became of a writing call",
			out: OperationAnswer{}, serve: func(t *Till, ctx context.Context, r *request) (any, error) {
				return t.operation(ctx, r.PathValue("key"))
			}},
		{method: "POST", path: "/v1/shifts/{id}/reconcile", name: "reconcile", summary: "Counts and sums of a shift against the cash software's", writes: true,
			in: reconcileBody{}, out: ReconcileAnswer{}, serve: func(t *Till, _ context.Context, r *request) (any, error) {
				return with(r, func(id string, b *reconcileBody) (any, error) { return t.reconcile(r.call, id, b) })
			}},
		{method: "POST", path: "/v1/receipts/{id}/fiscal", name: "fiscal", summary: "Print a receipt on the agent's fiscal printer, once: lines, discounts, loyalty text, tenders, close", writes: true,
			in: fiscalBody{}, out: FiscalAnswer{}, serve: func(t *Till, ctx context.Context, r *request) (any, error) {
				return with(r, func(id string, b *fiscalBody) (any, error) { return t.fiscal(ctx, r.call, id, b) })
			}},
		{method: "POST", path: "/v1/fiscal", name: "fiscal_do", summary: "Shift and reports, cash in and out, drawer, cancel an open receipt", writes: true,
			in: fiscalDo{}, out: FiscalDone{}, serve: func(t *Till, ctx context.Context, r *request) (any, error) {
				var b fiscalDo
				if err := decode(r.body, &b); err != nil {
					return nil, err
				}
				return t.fiscalDo(ctx, r.call, &b)
			}},
		{method: "GET", path: "/v1/fiscal", name: "fiscal_status", summary: "How the fiscal printer is: named states, identity, shift, last document",
			out: FiscalStatus{}, serve: func(t *Till, ctx context.Context, _ *request) (any, error) { return t.fiscalStatus(ctx) }},
		{method: "POST", path: "/v1/scans", name: "scan", summary: "What a helper in the cashier's session has read with a keyboard scanner; without data: it is there",
			in: scanBody{}, out: ScanAnswer{}, serve: func(t *Till, _ context.Context, r *request) (any, error) {
				var b scanBody
				if err := decode(r.body, &b); err != nil {
					return nil, err
				}
				return t.feed(&b)
			}},
		{method: "GET", path: "/v1/status", name: "status", summary: "How this till is: link, devices, rulebook, warnings",
			out: Status{}, serve: func(t *Till, _ context.Context, _ *request) (any, error) { return t.Status(), nil }},
		{method: "GET", path: "/v1/practice/goods", name: "goods", summary: "Goods of the practice till, when practice is on",
			out: goodsAnswer{}, serve: func(t *Till, _ context.Context, _ *request) (any, error) { return t.goods() }},
		{method: "GET", path: "/v1/events", name: "events", summary: "WebSocket: what happens, as it happens", plain: "websocket"},
		{method: "GET", path: "/v1/openapi.json", name: "openapi", summary: "This document", open: true, plain: "application/json"},
		{method: "GET", path: "/metrics", name: "metrics", summary: "Figures for Prometheus", open: true, plain: "text/plain; version=0.0.4"},
		{method: "GET", path: "/healthz", name: "healthz", summary: "200 when sales can be served", open: true,
			out: Healthz{}, serve: func(t *Till, _ context.Context, _ *request) (any, error) { return t.healthz() }},
	}
}

type identifyBody struct {
	Input string `json:"input,omitempty"`
	Phone string `json:"phone,omitempty"`
	// Entry says how the number came: scan or typed (when empty).
	Entry string `json:"entry,omitempty"`
}

type spendBody struct {
	Spend string `json:"spend"`
}

func serveIdentify(t *Till, ctx context.Context, r *request) (any, error) {
	var b identifyBody
	if err := decode(r.body, &b); err != nil {
		return nil, err
	}
	cu, err := t.named(ctx, &b)
	if err != nil {
		return nil, err
	}
	a := t.view(cu, t.c.Rules())
	t.events.identified(&a)
	t.greet(cu)
	return a, nil
}

// named finds the customer that a caller names, asking the centre when it can
// be asked.
func (t *Till) named(ctx context.Context, b *identifyBody) (*customer, error) {
	if b.Input == "" && b.Phone == "" {
		return nil, refuse("no_card").at("input")
	}
	entry := b.Entry
	switch entry {
	case "":
		entry = "typed"
	case "scan", "typed":
	default:
		return nil, refuse("bad_request", "entry is scan or typed").at("entry")
	}
	return t.identify(ctx, b.Input, b.Phone, entry, true)
}

// with decodes the body of a call on one receipt or shift.
func with[B any](r *request, f func(id string, b *B) (any, error)) (any, error) {
	id := r.PathValue("id")
	if !goodID(id) {
		return nil, refuse("bad_request", "an id has 1 to 100 characters without control characters").at("id")
	}
	var b B
	if err := decode(r.body, &b); err != nil {
		return nil, err
	}
	return f(id, &b)
}

func goodID(id string) bool {
	if len(id) < 1 || len(id) > 100 {
		return false
	}
	for _, c := range id {
		if c < 0x20 || c == 0x7f || c == 0xfffd {
			return false
		}
	}
	return true
}

// Handler is the agent's whole HTTP side: the API, and pages for everything
// that is not under it.
func (t *Till) Handler(pages http.Handler) http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for i := range routes {
		rt := &routes[i]
		methods[rt.path] = append(methods[rt.path], rt.method)
		mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) { t.serve(w, r, rt) })
	}
	for path, list := range methods {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(list, ", "))
			t.fail(w, r, refuse("method_not_allowed", strings.Join(list, ", ")))
		})
	}
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) { t.fail(w, r, refuse("not_found")) })
	if pages != nil {
		mux.Handle("/", pages)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				t.c.Log.Error("call panicked", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				t.metrics.request("panic", 500, 0)
				t.fail(w, r, refuse("internal"))
			}
		}()
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if err := t.guard(r); err != nil {
			t.c.Log.Warn("request refused", "code", err.Code, "host", clip(r.Host), "origin", clip(r.Header.Get("Origin")), "path", clip(r.URL.Path))
			t.metrics.request("refused", err.Status, 0)
			t.fail(w, r, err)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			h.Set("Cache-Control", "no-store")
		}
		mux.ServeHTTP(w, r)
	})
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// logCall has every call in the log with who made it. Bodies are nobody's business.
func (t *Till) logCall(r *http.Request, rt *route, caller string) {
	attrs := []any{"call", rt.name, "caller", caller}
	if peer, socket, err := local.PeerOf(r.Context()); socket && err == nil {
		attrs = append(attrs, "user", peer.User, "pid", peer.PID)
	}
	if id := r.PathValue("id"); id != "" {
		attrs = append(attrs, "id", clip(id))
	}
	t.c.Log.Info("called", attrs...)
}

// serve runs one call of the table.
func (t *Till) serve(w http.ResponseWriter, r *http.Request, rt *route) {
	start := t.c.Now()
	status := http.StatusOK
	defer func() { t.metrics.request(rt.name, status, t.c.Now().Sub(start)) }()
	fail := func(err error) { status = t.fail(w, r, err) }

	req := &request{Request: r}
	if !rt.open {
		caller, err := t.caller(r, rt.name)
		if err != nil {
			t.c.Log.Warn("request refused", "code", err.Code, "path", clip(r.URL.Path))
			fail(err)
			return
		}
		req.caller = caller
		t.logCall(r, rt, caller)
	}
	switch rt.name {
	case "events":
		t.c.Log.Debug("events", "program", req.caller)
		t.events.serve(w, r)
		return
	case "openapi":
		w.Header().Set("Content-Type", rt.plain)
		w.Write(openAPI())
		return
	case "metrics":
		w.Header().Set("Content-Type", rt.plain)
		t.metrics.write(w, t)
		return
	}
	if rt.method == "POST" {
		var err error
		if req.body, err = readBody(w, r, t.c.MaxBody); err != nil {
			fail(err)
			return
		}
	}
	if rt.writes {
		req.call = newCall(req.caller, r.Header.Get("Idempotency-Key"), r.Method, r.URL.Path, req.body)
	}
	answer, err := t.answer(r.Context(), rt, req)
	if err != nil {
		fail(err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	if rp, ok := answer.(*reply); ok {
		if rp.replayed {
			h.Set("Idempotency-Replayed", "true")
		}
		status = rp.status
		w.WriteHeader(rp.status)
		w.Write(rp.body)
		return
	}
	b, err := json.Marshal(answer)
	if err != nil {
		fail(err)
		return
	}
	w.Write(b)
}

// fail writes an error in the till's language and returns its status.
func (t *Till) fail(w http.ResponseWriter, r *http.Request, err error) int {
	e := t.refusal(r.URL.Path, err)
	out := errorAnswer{*e}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	if e.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "2")
	}
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(out)
	return e.Status
}

// Close ends the event streams, so that the server can stop.
func (t *Till) Close() { t.events.close() }

// stamp is now, in whole milliseconds.
func (t *Till) stamp() time.Time { return t.c.Now().UTC().Truncate(time.Millisecond) }
