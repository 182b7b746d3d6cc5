package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/configs/rulebooks"
	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/wire"
)

// call is a call of a cash program.
func call(t *testing.T, a *agent.Agent, token, method, path, key, body string, into any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	}
	return resp.StatusCode
}

type who struct {
	Member struct {
		Token     string `json:"token"`
		FirstName string `json:"first_name"`
	} `json:"member"`
}

func (h *head) member(card, name string) (id loyalty.MemberID) {
	h.t.Helper()
	h.write(func(tx *db.Tx) (err error) {
		if id, err = h.s.Members().Add(tx, members.Person{FirstName: name, LastName: name + "owa", Email: name + "@example.com", Phone: "48601234567", Birthday: "1990-03-08"}); err != nil {
			return err
		}
		return h.s.Members().AddCard(tx, id, wire.KindCard, card, "", "active")
	})
	return id
}

// holds tells which files of a folder contain a text, in any of its spellings.
func holds(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(bytes.ToLower(b), []byte(strings.ToLower(text))) {
			found = append(found, filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestErasedEverywhere (I32): a member is erased at the centre. The connected
// till forgets at once, the other at its next contact before anything else; both
// write it down, and nothing of the person is found in any file afterwards, while
// what was sold can still be taken back.
func TestErasedEverywhere(t *testing.T) {
	const card, name = "2000000125008", "Zdzisława"
	c := &clock{at: time.Now().Truncate(time.Second)}
	h := newHead(t, c.Now)
	h.greetings()
	id := h.member(card, name)
	type place struct {
		dir, token string
		a          *agent.Agent
		stop       func()
	}
	var tills [2]*place
	for i := range tills {
		p := &place{dir: t.TempDir()}
		h.enrol(p.dir, string(rune('1'+i)))
		var err error
		if p.token, err = till.OpenPrograms(p.dir).Add("cash", 1, time.Now()); err != nil {
			t.Fatal(err)
		}
		p.a, _, p.stop = work(t, p.dir, c.Now, nil)
		tills[i] = p
	}
	identify := func(p *place) (w who) {
		call(t, p.a, p.token, "POST", "/v1/identify", "", `{"input":"`+card+`","entry":"scan"}`, &w)
		return w
	}
	const basket = `"lines":[{"sku":"7","name":"Coffee","quantity":"2","price":"12.50"}]`
	for i, p := range tills {
		until(t, "the member is at the till", func() bool { return identify(p).Member.FirstName == name })
		until(t, "the rulebook is at the till", func() bool { return strings.HasSuffix(p.a.Till().Status().Rulebook.Version, "@2") })
		w := identify(p)
		var answer json.RawMessage
		n := string(rune('1' + i))
		if code := call(t, p.a, p.token, "POST", "/v1/receipts/"+n+"/capture", "c"+n, `{"receipt":{"member":"`+w.Member.Token+`",`+basket+`}}`, &answer); code != http.StatusOK {
			t.Fatalf("capture: %d", code)
		}
		if !strings.Contains(string(answer), name) {
			t.Fatalf("the receipt names nobody, so this test would show nothing: %s", answer)
		}
		if len(holds(t, p.dir, name)) == 0 {
			t.Fatal("the name is in no file of the till, so this test would show nothing")
		}
		if got := holds(t, p.dir, name); len(got) != 1 || got[0] != store.JournalFile {
			t.Errorf("the name is in clear in %v", got)
		}
		until(t, "the receipt is at the centre", func() bool { return p.a.Till().Status().Link.Queued == 0 })
	}
	on, off := tills[0], tills[1]
	off.stop()

	if err := members.NoteErasure(central.ErasedFile(h.dir), id); err != nil {
		t.Fatal(err)
	}
	h.write(func(tx *db.Tx) error { return h.s.Members().Erase(tx, id, "test", "asked for") })
	unknown := func(p *place) bool { return identify(p).Member.FirstName == "" }
	until(t, "the connected till has forgotten", func() bool { return unknown(on) })
	erasures := func() (e []members.Erasure) {
		h.read(func(tx *db.Tx) (err error) { e, err = members.Erasures(tx); return err })
		return e
	}
	until(t, "it has said so", func() bool { e := erasures(); return len(e) == 1 && e[0].Told == 1 && e[0].Tills == 2 })

	off.a, _, off.stop = work(t, off.dir, c.Now, nil)
	until(t, "the other has forgotten", func() bool { return erasures()[0].Told == 2 && unknown(off) })

	c.add(time.Minute) // nobody has called for a while
	for i, p := range tills {
		until(t, "nothing is left at the till", func() bool { return len(holds(t, p.dir, name)) == 0 })
		n := string(rune('1' + i))
		// The call again: the same status, no text about anybody.
		var again json.RawMessage
		if code := call(t, p.a, p.token, "POST", "/v1/receipts/"+n+"/capture", "c"+n, "{}", &again); code == http.StatusOK {
			t.Errorf("another body under the same key: %d %s", code, again)
		}
		if code := call(t, p.a, p.token, "POST", "/v1/returns/capture", "r"+n, `{"original":"`+n+`","lines":[{"sku":"7","quantity":"1"}]}`, nil); code != http.StatusOK {
			t.Errorf("goods of an erased member cannot come back: %d", code)
		}
	}
	for _, p := range tills {
		p.stop()
		if got := holds(t, p.dir, name); len(got) > 0 {
			t.Errorf("after the stop the name is in %v", got)
		}
	}

	// The centre: no name, no address, no number; the entries are there.
	if err := h.s.DB().Scrub(t.Context()); err != nil {
		t.Error(err)
	}
	for _, text := range []string{name, "48601234567", card, "1990-03-08"} {
		if got := holds(t, h.dir, text); len(got) > 0 {
			t.Errorf("%q is still in %v", text, got)
		}
	}
	h.read(func(tx *db.Tx) error {
		m, err := h.s.Members().Get(tx, id)
		if err != nil || m.State != "erased" || m.FirstName != "" || len(m.Cards) != 0 {
			t.Errorf("%+v %v", m, err)
		}
		return nil
	})

	// An old copy is put back: the next start erases again.
	h.write(func(tx *db.Tx) error {
		return tx.Exec(`UPDATE member SET state = 'active' WHERE id = ?`, int64(id))
	})
	h.write(func(tx *db.Tx) error {
		n, err := h.s.Members().EraseAgain(tx, central.ErasedFile(h.dir))
		if n != 1 {
			t.Errorf("%d erased again", n)
		}
		return err
	})
}

func (h *head) read(fn func(tx *db.Tx) error) {
	h.t.Helper()
	if err := h.s.DB().Read(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// greetings publishes a rulebook whose slip names the customer.
func (h *head) greetings() {
	h.t.Helper()
	doc, err := rulebooks.Get("grocer")
	if err != nil {
		h.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(doc, &m); err != nil {
		h.t.Fatal(err)
	}
	m["receipt"] = append(m["receipt"].([]any), map[string]any{"text": map[string]string{"en": "Thank you, {first_name}!"}, "if": []string{"first_name"}})
	if doc, err = json.Marshal(m); err != nil {
		h.t.Fatal(err)
	}
	h.publishDoc(doc)
}
