package till

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
)

// Event is one thing that happened, as /v1/events tells it.
type Event struct {
	Type         string          `json:"type"` // link, device, card, member, receipt, spend, health, passthrough
	At           time.Time       `json:"at"`
	Mode         string          `json:"mode,omitempty"`
	Since        *time.Time      `json:"since,omitempty"`
	Device       any             `json:"device,omitempty"` // DeviceState, or the name of a reader
	Known        *bool           `json:"known,omitempty"`
	Member       any             `json:"member,omitempty"` // *MemberView or null
	Receipt      string          `json:"receipt,omitempty"`
	State        store.State     `json:"state,omitempty"`
	Result       *loyalty.Result `json:"result,omitempty"`
	ToBeCredited bool            `json:"to_be_credited,omitempty"`
	Slip         store.Slip      `json:"slip,omitempty"`
	Spend        *string         `json:"spend,omitempty"`
	Warnings     *[]health.Shown `json:"warnings,omitempty"`
	Text         string          `json:"text,omitempty"` // of passthrough
}

// events tells every listener what happens, and a new one what is so now.
type events struct {
	t *Till

	mu        sync.Mutex
	listeners map[*listener]bool
	member    *Event // of the sale in progress
	sale      *Event
	until     time.Time // member and sale are forgotten after this
	closed    bool
}

// listener is one connection with its own bounded queue.
type listener struct {
	queue chan []byte
	once  sync.Once
	gone  chan struct{}
}

func (l *listener) drop() { l.once.Do(func() { close(l.gone) }) }

const (
	// maxListeners bounds the connections; a till has a page or two and a
	// cash program.
	maxListeners = 16
	// saleForgotten is how long a sale in progress is shown to a fresh
	// connection.
	saleForgotten = 15 * time.Minute
)

func newEvents(t *Till) *events { return &events{t: t, listeners: map[*listener]bool{}} }

// send tells every listener. One that does not keep up is dropped: it
// connects again and is told what is so then.
func (e *events) send(ev Event) {
	if ev.At.IsZero() {
		ev.At = e.t.c.Now().UTC().Truncate(time.Millisecond)
	}
	b := mustJSON(ev)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.remember(ev)
	for l := range e.listeners {
		select {
		case l.queue <- b:
		default:
			l.drop()
			delete(e.listeners, l)
		}
	}
}

// remember keeps what a fresh connection is told; e.mu is held.
func (e *events) remember(ev Event) {
	switch ev.Type {
	case "member":
		e.member, e.sale = &ev, nil
		if ev.Known == nil {
			e.member = nil
		}
	case "receipt":
		e.sale = &ev
		if ev.State == store.Captured || ev.State == store.Voided {
			e.member, e.sale = nil, nil
		}
	default:
		return
	}
	e.until = ev.At.Add(saleForgotten)
}

// receipt tells how a priced receipt stands, and the display its total.
func (e *events) receipt(id string, s store.State, p *priced) {
	e.send(Event{Type: "receipt", Receipt: id, State: s, Mode: p.mode(), Result: lasting(p.result), ToBeCredited: p.credited()})
	if s == store.Open || s == store.Held {
		e.t.showSale(p)
	}
}

// state tells that a receipt came to a state.
func (e *events) state(id string, s store.State) {
	e.send(Event{Type: "receipt", Receipt: id, State: s})
}

// identified tells who the customer is; nil: gone.
func (e *events) identified(a *MemberAnswer) {
	if a == nil {
		e.send(Event{Type: "member", Member: json.RawMessage("null")})
		return
	}
	e.send(Event{Type: "member", Known: &a.Known, Mode: a.Mode, Member: a.Member})
	if a.Member != nil {
		e.t.customer.set(a.Member.Token, e.t.c.Now())
	}
}

// TellDevice, TellLink and TellHealth are for the parts that know.

// TellDevice tells that a device's state changed.
func (t *Till) TellDevice(s DeviceState) { t.events.send(Event{Type: "device", Device: s}) }

// TellLink tells that the link came or went.
func (t *Till) TellLink(s LinkStatus) {
	t.events.send(Event{Type: "link", Mode: s.Mode, Since: &s.Since})
}

// TellHealth tells that the list of warnings changed.
func (t *Till) TellHealth(list []health.Shown) { t.events.send(Event{Type: "health", Warnings: &list}) }

// join adds a listener whose queue begins with what is so now.
func (e *events) join() (*listener, bool) {
	l := &listener{queue: make(chan []byte, 64), gone: make(chan struct{})}
	now := e.t.c.Now().UTC().Truncate(time.Millisecond)
	first := []Event{}
	link := e.t.c.Link.Status()
	first = append(first, Event{Type: "link", At: now, Mode: link.Mode, Since: &link.Since})
	for _, d := range e.t.c.Devices.States() {
		first = append(first, Event{Type: "device", At: now, Device: d})
	}
	warnings := e.t.c.Health.Current()
	first = append(first, Event{Type: "health", At: now, Warnings: &warnings})
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.listeners) >= maxListeners {
		return nil, false
	}
	if now.Before(e.until) {
		if e.member != nil {
			first = append(first, *e.member)
		}
		if e.sale != nil {
			first = append(first, *e.sale)
		}
	}
	for _, ev := range first {
		select {
		case l.queue <- mustJSON(ev):
		default:
		}
	}
	e.listeners[l] = true
	return l, true
}

func (e *events) leave(l *listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.listeners, l)
	l.drop()
}

// close ends every connection.
func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for l := range e.listeners {
		l.drop()
		delete(e.listeners, l)
	}
}

// protocol is the WebSocket subprotocol of the event stream.
const protocol = "tillside.v1"

// bearerProtocol reads the token a browser sends as a subprotocol, since it
// cannot send a header.
func bearerProtocol(r *http.Request) string {
	for _, p := range websocket.Subprotocols(r) {
		if token, ok := strings.CutPrefix(p, "bearer."); ok {
			return token
		}
	}
	return ""
}

// serve runs the event stream of one connection. Host, Origin and token have
// been checked.
func (e *events) serve(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{
		HandshakeTimeout: 5 * time.Second, ReadBufferSize: 512, WriteBufferSize: 1024,
		Subprotocols: []string{protocol},
		CheckOrigin:  func(*http.Request) bool { return true }, // exact list, checked by guard
	}
	l, ok := e.join()
	if !ok {
		e.t.fail(w, r, refuse("busy"))
		return
	}
	defer e.leave(l)
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // the library has answered
	}
	defer conn.Close()
	conn.SetReadLimit(4096)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { // the one reader: it only notices the end
		defer wg.Done()
		defer cancel()
		wait := func() { _ = conn.SetReadDeadline(time.Now().Add(70 * time.Second)) }
		wait()
		conn.SetPongHandler(func(string) error { wait(); return nil })
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	e.pump(ctx, conn, l)
	conn.Close()
	wg.Wait()
}

// pump is the one writer of a connection.
func (e *events) pump(ctx context.Context, conn *websocket.Conn, l *listener) {
	ping := time.NewTicker(30 * time.Second)
	defer ping.Stop()
	for {
		select {
		case b := <-l.queue:
			_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
			if err := conn.WriteMessage(websocket.TextMessage, b); err != nil {
				return
			}
		case <-ping.C:
			if err := conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(5*time.Second)); err != nil {
				return
			}
		case <-l.gone:
			msg := websocket.FormatCloseMessage(websocket.CloseGoingAway, "")
			_ = conn.WriteControl(websocket.CloseMessage, msg, time.Now().Add(time.Second))
			return
		case <-ctx.Done():
			return
		}
	}
}
