package till

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/store"
)

// call is one writing call with its idempotency key.
type call struct {
	caller string // program
	key    string
	name   string // method and path
	hash   []byte // of name and body
}

// reply is a finished answer.
type reply struct {
	status   int
	body     []byte
	replayed bool
}

func newCall(caller, key, method, path string, body []byte) *call {
	h := sha256.New()
	h.Write([]byte(method + " " + path + "\n"))
	// White space outside strings does not make another request.
	var compact bytes.Buffer
	if json.Compact(&compact, body) == nil {
		body = compact.Bytes()
	}
	h.Write(body)
	return &call{caller, key, method + " " + path, h.Sum(nil)}
}

func goodKey(key string) bool {
	if len(key) < 1 || len(key) > 200 {
		return false
	}
	for i := range len(key) {
		if key[i] < 0x21 || key[i] > 0x7e {
			return false
		}
	}
	return true
}

// once runs a writing call at most once for its key: calls with one key wait
// for each other, and the second gets the first one's answer.
func (t *Till) once(ctx context.Context, c *call, run func() (*reply, error)) (*reply, error) {
	if !goodKey(c.key) {
		return nil, refuse("key_missing")
	}
	t.called.Store(t.c.Now().UnixNano())
	unlock, err := t.calls.lock(ctx, c.key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if r, err := t.answered(c); r != nil || err != nil {
		return r, err
	}
	r, err := run()
	if errors.Is(err, store.ErrOutcomeUnknown) {
		t.c.Health.Raise(health.StoreBroken, "", err.Error())
		// The file was opened again; what it says now is what happened.
		if r, err2 := t.answered(c); r != nil && err2 == nil {
			return r, nil
		}
		t.c.Log.Error("write not confirmed", "call", c.name, "error", err)
		return nil, refuse("try_again")
	}
	return r, err
}

// answered gives the stored answer of a call's key; nil when there is none.
func (t *Till) answered(c *call) (*reply, error) {
	var a *store.Answer
	err := t.c.Journal.View(func(tx *store.Tx) (err error) {
		a, err = tx.Answer(c.key)
		return err
	})
	if err != nil || a == nil {
		return nil, err
	}
	if !bytes.Equal(a.Hash, c.hash) {
		return nil, refuse("idempotency_conflict")
	}
	return &reply{a.Status, a.Body, true}, nil
}

// commit runs the writing part of a call: its effect, its journal records and
// its answer are one transaction.
func (t *Till) commit(c *call, status int, effect func(tx *store.Tx) (any, error)) (*reply, error) {
	var body []byte
	err := t.c.Journal.Update(func(tx *store.Tx) error {
		answer, err := effect(tx)
		if err != nil {
			return err
		}
		if body, err = json.Marshal(answer); err != nil {
			return err
		}
		return tx.PutAnswer(c.key, &store.Answer{Hash: c.hash, Call: c.name, Status: status, Body: body})
	})
	if errors.Is(err, store.ErrState) {
		return nil, refuse("wrong_state", err)
	}
	if err != nil {
		return nil, err
	}
	t.c.Health.Clear(health.StoreBroken, "")
	t.c.Tills.Moved()
	return &reply{status: status, body: body}, nil
}

// OperationAnswer tells what became of a call.
type OperationAnswer struct {
	Key    string          `json:"key"`
	Call   string          `json:"call"`
	Status int             `json:"status"`
	At     string          `json:"at"`
	Answer json.RawMessage `json:"answer"`
}

func (t *Till) operation(ctx context.Context, key string) (*OperationAnswer, error) {
	if !goodKey(key) {
		return nil, refuse("unknown_operation")
	}
	// A call that is running now is waited for.
	unlock, err := t.calls.lock(ctx, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var a *store.Answer
	err = t.c.Journal.View(func(tx *store.Tx) (err error) {
		a, err = tx.Answer(key)
		return err
	})
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, refuse("unknown_operation")
	}
	return &OperationAnswer{key, a.Call, a.Status, a.At.Format(time.RFC3339Nano), a.Body}, nil
}

// LastCall is when a call that may change something came last; the zero time
// when none did since the start.
func (t *Till) LastCall() time.Time {
	if n := t.called.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}
