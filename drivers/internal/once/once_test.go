package once

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// script is a link that answers as it is told, step by step.
type script struct {
	steps []step
	calls []string
}

type step struct {
	answer string
	err    error
}

func (s *script) next(call string) ([]byte, error) {
	s.calls = append(s.calls, call)
	if len(s.steps) == 0 {
		return nil, errors.New("nothing more in the script")
	}
	st := s.steps[0]
	s.steps = s.steps[1:]
	if st.err != nil {
		return nil, st.err
	}
	return []byte(st.answer), nil
}

func (s *script) Send(context.Context, *line.Port, []byte) ([]byte, error) { return s.next("send") }
func (s *script) Settle(context.Context, *line.Port) ([]byte, error)       { return s.next("settle") }

func runner(t *testing.T, s *script) *Runner {
	t.Helper()
	open := func(context.Context, string, line.Settings) (line.Raw, error) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { theirs.Close() })
		return ours, nil
	}
	r, env := New(s, 5*time.Second, drivers.Env{OpenLine: open})
	r.S = drivers.NewSession(drivers.Config{Name: "x", Driver: "script", Port: "COM1"}, env, drivers.Talk{})
	if err := r.S.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.S.Close() })
	return r
}

func TestRunner(t *testing.T) {
	refusal := &drivers.Error{Code: drivers.PaperOut}
	unknown := fmt.Errorf("%w: no trace", drivers.Uncertain)
	yes := func(context.Context) (bool, error) { return true, nil }
	no := func(context.Context) (bool, error) { return false, nil }
	broken := func(context.Context) (bool, error) { return false, errors.New("no answer") }
	for _, c := range []struct {
		name   string
		steps  []step
		query  bool
		verify func(context.Context) (bool, error)
		answer string
		code   drivers.Code
		calls  []string
	}{
		{"answer", []step{{"ok", nil}}, false, nil, "ok", "", []string{"send"}},
		{"refusal", []step{{"", refusal}}, false, nil, "", drivers.PaperOut, []string{"send"}},
		{"not sent, again", []step{{"", ErrNotSent}, {"ok", nil}}, false, nil, "ok", "", []string{"send", "send"}},
		{"in flight, arrived", []step{{"", ErrInFlight}, {"ok", nil}}, false, nil, "ok", "", []string{"send", "settle"}},
		{"in flight, refused", []step{{"", ErrInFlight}, {"", refusal}}, false, nil, "", drivers.PaperOut, []string{"send", "settle"}},
		{"in flight, lost twice", []step{{"", ErrInFlight}, {"", ErrInFlight}, {"", ErrNotSent}, {"ok", nil}}, false, nil, "ok", "", []string{"send", "settle", "settle", "send"}},
		{"no trace", []step{{"", ErrInFlight}, {"", unknown}}, false, nil, "", drivers.Uncertain, []string{"send", "settle"}},
		{"no trace of a query", []step{{"", unknown}, {"ok", nil}}, true, nil, "ok", "", []string{"send", "send"}},
		{"counters say done", []step{{"", unknown}}, false, yes, "", "", []string{"send"}},
		{"counters say not done", []step{{"", unknown}, {"ok", nil}}, false, no, "ok", "", []string{"send", "send"}},
		{"counters do not answer", []step{{"", unknown}}, false, broken, "", drivers.Uncertain, []string{"send"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{steps: c.steps}
			r := runner(t, s)
			got, err := r.Do(context.Background(), Command{Op: "test", Query: c.query, Verify: c.verify})
			if string(got) != c.answer || drivers.CodeOf(err) != c.code || !slices.Equal(s.calls, c.calls) {
				t.Errorf("%q, %v, calls %v; want %q, %q, %v", got, err, s.calls, c.answer, c.code, c.calls)
			}
		})
	}
}

// A call that ends while its command is in flight does not know what became of it.
func TestContextEndsInFlight(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &script{}
	r := runner(t, s)
	s.steps = []step{{"", ErrInFlight}}
	r.Link = ending{s, cancel}
	if _, err := r.Do(ctx, Command{Op: "test"}); !errors.Is(err, drivers.Uncertain) {
		t.Errorf("%v, want uncertain", err)
	}
}

type ending struct {
	Link
	cancel func()
}

func (e ending) Send(ctx context.Context, p *line.Port, cmd []byte) ([]byte, error) {
	defer e.cancel()
	return e.Link.Send(ctx, p, cmd)
}

func TestTurns(t *testing.T) {
	r := runner(t, &script{})
	if err := r.Enter(context.Background(), "first"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Enter(ctx, "second"); !errors.Is(err, drivers.Busy) {
		t.Errorf("a second turn: %v", err)
	}
	r.Leave()
	if err := r.Enter(context.Background(), "third"); err != nil {
		t.Errorf("after the first left: %v", err)
	}
}

func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		err  error
		done int
		want drivers.Outcome
	}{
		{nil, 0, drivers.OutcomePrinted}, {drivers.PaperOut, 0, drivers.OutcomeNotPrinted},
		{drivers.PaperOut, 1, drivers.OutcomeUnknown}, {drivers.Uncertain, 0, drivers.OutcomeUnknown},
	} {
		if got := Outcome(c.err, c.done); got != c.want {
			t.Errorf("%v after %d: %s, want %s", c.err, c.done, got, c.want)
		}
	}
}
