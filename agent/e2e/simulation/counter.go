package simulation

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/tillside/tillside/agent/loyalty"
)

// visit is one customer at one counter, from the scan of the card to the
// receipt. The cash program calls from a goroutine of its own; the story looks
// at what it was told when everybody is quiet.
type visit struct {
	id     string
	member int
	amount loyalty.Money
	spend  string // "", "max" or points

	called *call
	lost   *call // a writing call whose answer was not heard: it will be repeated
	token  string
}

// call is one conversation of the cash program with the agent.
type call struct {
	kind      string // authorise, capture, void
	key, path string
	body      []byte
	status    int
	answer    []byte
	done      atomic.Bool
	deaf      bool // the machine died meanwhile: whatever was answered was not heard
}

// saleAnswer is what the cash program reads of an answer.
type saleAnswer struct {
	State  string
	Mode   string
	Result loyalty.Result
}

// cutOff is the death of the machine in the middle of a call.
func (v *visit) cutOff() {
	if v.called == nil {
		return
	}
	v.called.deaf = true
	if v.called.kind != "authorise" {
		v.lost = v.called
	}
	v.called = nil
}

// start has the cash program make a call.
func (m *machine) start(c *call) {
	v, handle := m.visit, m.handle
	v.called = c
	go func() {
		if c.kind == "authorise" && v.token == "" {
			card := fmt.Sprintf(`{"input":%q,"entry":"scan"}`, m.w.cards[v.member])
			if status, b := m.ask(handle, http.MethodPost, "/v1/identify", "", []byte(card)); status == http.StatusOK {
				var who struct{ Member struct{ Token string } }
				_ = json.Unmarshal(b, &who)
				v.token = who.Member.Token
			}
			c.body = v.basket()
		}
		c.status, c.answer = m.ask(handle, http.MethodPost, c.path, c.key, c.body)
		c.done.Store(true)
	}()
}

func (v *visit) basket() []byte {
	b := map[string]any{"lines": []map[string]string{
		{"id": "1", "sku": "100", "name": "Tea", "quantity": "1", "price": (v.amount / 2).String()},
		{"id": "2", "sku": "200", "name": "Cups", "quantity": "2", "price": ((v.amount - v.amount/2) / 2).String()},
	}}
	if v.token != "" {
		b["member"] = v.token
	}
	if v.spend != "" {
		b["spend"] = v.spend
	}
	out, _ := json.Marshal(b)
	return out
}

// arrive begins a visit.
func (m *machine) arrive(member int, amount loyalty.Money, spend string) {
	if m.agent == nil || m.visit != nil || m.gone {
		return
	}
	m.w.receipts++
	v := &visit{id: fmt.Sprintf("%s-%d", m.place.Till, m.w.receipts), member: member, amount: amount, spend: spend}
	m.visit = v
	m.w.visits[v.id] = v
	m.start(&call{kind: "authorise", key: v.id + "-a", path: "/v1/receipts/" + v.id + "/authorise"})
}

// finish closes the receipt, or repeats what was not heard.
func (m *machine) finish(kind string) {
	v := m.visit
	if v == nil || m.agent == nil || v.called != nil {
		return
	}
	if c := v.lost; c != nil {
		v.lost = nil
		m.start(&call{kind: c.kind, key: c.key, path: c.path, body: c.body})
		return
	}
	c := &call{kind: kind, key: v.id + "-" + kind, path: "/v1/receipts/" + v.id + "/" + kind}
	if kind == "capture" {
		c.body = []byte(fmt.Sprintf(`{"fiscal_number":"F%s","tenders":[]}`, v.id))
	} else {
		c.body = []byte(`{"reason":"changed their mind"}`)
	}
	m.start(c)
}

// heard is what the cash program learns from the answer of its call.
func (m *machine) heard() {
	v := m.visit
	if v == nil || v.called == nil || !v.called.done.Load() {
		return
	}
	c := v.called
	v.called = nil
	m.w.tell("  %s %s: %d %s", v.id, c.kind, c.status, brief(c.answer))
	if c.status >= 500 {
		v.lost = c // nobody knows; asked again
		return
	}
	o := m.w.oracle
	switch {
	case c.kind == "authorise":
		if c.status >= 300 {
			m.visit = nil // the customer goes without
		}
	case c.kind == "capture" && c.status < 300:
		var a saleAnswer
		if err := json.Unmarshal(c.answer, &a); err != nil {
			m.w.fail("capture of %s answered %q: %v", v.id, c.answer, err)
		}
		o.captured(m, v, &a)
		m.visit = nil
	case c.kind == "capture": // refused: not authorised any more, on an old image
		m.visit = nil
	case c.kind == "void":
		m.visit = nil
	}
}

func brief(b []byte) string {
	if len(b) > 160 {
		b = b[:160]
	}
	return string(b)
}

// bringBack returns goods, or takes a whole receipt back, at some till. It is
// one call, waited for.
func (m *machine) bringBack(s *sold, whole bool) {
	if m.agent == nil || m.gone || s == nil || s.back || whole && s.at != m {
		return
	}
	s.back = true
	path, body := "/v1/returns/capture", fmt.Sprintf(`{"original":%q,"lines":[{"id":"2","quantity":"1"}]}`, s.id)
	kind := "return"
	if whole {
		kind, path, body = "void", "/v1/receipts/"+s.id+"/void", `{"reason":"wrong goods"}`
	}
	status, answer := m.ask(m.handle, http.MethodPost, path, s.id+"-back", []byte(body))
	m.w.tell("  %s %s: %d %s", s.id, kind, status, brief(answer))
	if status >= 300 {
		return
	}
	var a struct{ Result loyalty.ReturnResult }
	if err := json.Unmarshal(answer, &a); err != nil {
		m.w.fail("%s of %s answered %q: %v", kind, s.id, answer, err)
	}
	m.w.oracle.returned(m, s, &a.Result)
}
