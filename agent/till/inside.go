package till

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/tillside/tillside/agent/store"
)

// Inside is a call of the API made by another part of this program, on behalf
// of cash software that does not speak HTTP. It goes the way of every other
// call: same decoding, same idempotency, same refusals.
type Inside struct {
	Caller string // as the token's program would be named
	Call   string // operation id of the API: "identify", "capture", "return_capture", …
	ID     string // what stands for {id} in the path; empty where there is none
	Key    string // idempotency key of a writing call
	Body   []byte // JSON
}

// Inside makes a call and returns what the API would answer.
func (t *Till) Inside(ctx context.Context, c Inside) (status int, answer []byte) {
	start := t.c.Now()
	defer func() { t.metrics.request(c.Call, status, t.c.Now().Sub(start)) }()
	fail := func(err error) (int, []byte) {
		e := t.refusal(c.Call, err)
		return e.Status, mustJSON(errorAnswer{*e})
	}
	for i := range routes {
		rt := &routes[i]
		if rt.name != c.Call || rt.serve == nil {
			continue
		}
		hr, err := http.NewRequestWithContext(ctx, rt.method, "/", nil)
		if err != nil {
			return fail(err)
		}
		hr.SetPathValue("id", c.ID)
		r := &request{Request: hr, caller: c.Caller, body: c.Body}
		if rt.writes {
			r.call = newCall(c.Caller, c.Key, rt.method, rt.path+"\n"+c.ID, c.Body)
		}
		a, err := t.answer(ctx, rt, r)
		if err != nil {
			return fail(err)
		}
		if rp, ok := a.(*reply); ok {
			return rp.status, rp.body
		}
		return http.StatusOK, mustJSON(a)
	}
	return fail(refuse("not_found"))
}

// answer runs one call of the table, a writing one at most once for its key.
func (t *Till) answer(ctx context.Context, rt *route, r *request) (any, error) {
	if !rt.writes {
		return rt.serve(t, ctx, r)
	}
	return t.once(ctx, r.call, func() (*reply, error) {
		a, err := rt.serve(t, ctx, r)
		if err != nil {
			return nil, err
		}
		return a.(*reply), nil
	})
}

// refusal is an error as the caller is told it, in the till's language. What
// is not the caller's business is logged in full and told as "internal".
func (t *Till) refusal(where string, err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, store.ErrNotEnrolled):
		e = refuse("not_enrolled")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = refuse("busy")
	default:
		t.c.Log.Error("call failed", "path", where, "error", err)
		e = refuse("internal")
	}
	return e.in(t.c.Language)
}

// SayIn words a refusal of the catalogue for a part of this program that has
// one of its own to make.
func SayIn(language, code, field string, args ...any) json.RawMessage {
	return mustJSON(errorAnswer{*refuse(code, args...).at(field).in(language)})
}
