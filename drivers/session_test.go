package drivers_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
	"github.com/tillside/tillside/drivers/line/linetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// story collects state changes.
type story struct {
	mu    sync.Mutex
	codes []drivers.Code
}

func (s *story) note(st drivers.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes = append(s.codes, st.Code)
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, c := range s.codes {
		out = append(out, string(c))
	}
	return strings.Join(out, " ")
}

func session(pipe *linetest.Pipe, talk drivers.Talk) (*drivers.Session, *story) {
	st := &story{}
	return drivers.NewSession(drivers.Config{Name: "d", Driver: "test", Port: "mem"},
		drivers.Env{OpenLine: pipe.Open, OnState: st.note}, talk), st
}

func TestSessionSeesUnplugAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := linetest.New()
		lost := 0
		s, st := session(pipe, drivers.Talk{Start: func(context.Context, *line.Port) error { return nil }, Lost: func(error) { lost++ }})
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		pulled := time.Now()
		pipe.Unplug()
		synctest.Wait()
		if got := s.State(); got.Code != drivers.Absent || got.Since.Sub(pulled) > 2*time.Second {
			t.Errorf("%+v", got)
		}
		pipe.Plug()
		time.Sleep(6 * time.Second) // the longest pause and a bit, on a set clock
		synctest.Wait()
		s.Close()
		if got := st.String(); got != "opening ready absent ready closed" && got != "opening ready absent opening ready closed" {
			t.Errorf("story: %s", got)
		}
		if lost < 1 {
			t.Error("the driver was not told of the lost line")
		}
		pipe.Unplug()
	})
}

func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := linetest.New()
		var opens []time.Duration
		start := time.Now()
		s := drivers.NewSession(drivers.Config{Port: "mem"}, drivers.Env{OpenLine: func(context.Context, string, line.Settings) (line.Raw, error) {
			opens = append(opens, time.Since(start).Round(100*time.Millisecond))
			return nil, line.ErrAbsent
		}}, drivers.Talk{})
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		s.Close()
		want := []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond, 7500 * time.Millisecond, 12500 * time.Millisecond, 17500 * time.Millisecond}
		if !slices.Equal(opens, want) {
			t.Errorf("opened at %v", opens)
		}
		pipe.Unplug()
	})
}

func TestWorkIsDoneInTurnOrRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := linetest.New()
		s, _ := session(pipe, drivers.Talk{})
		if err := s.Do(t.Context(), "early", nil); !errors.Is(err, drivers.Closed) {
			t.Errorf("before Open: %v", err)
		}
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		var order []int
		busy := 0
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				err := s.Do(t.Context(), "work", func(ctx context.Context, _ *line.Port) error {
					if busy++; busy > 1 {
						t.Error("two at a time")
					}
					time.Sleep(10 * time.Millisecond)
					busy--
					order = append(order, i)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if !slices.IsSorted(order) || len(order) != 5 {
			t.Errorf("order %v", order)
		}

		// A call that waits for its turn ends with its own context.
		hold := make(chan struct{})
		go s.Do(context.Background(), "hold", func(ctx context.Context, _ *line.Port) error { <-hold; return nil })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.Do(ctx, "waits", func(context.Context, *line.Port) error { t.Error("ran after its end"); return nil })
		if !errors.Is(err, drivers.Busy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(hold)

		pipe.Unplug()
		synctest.Wait()
		err = s.Do(t.Context(), "print slip", func(context.Context, *line.Port) error { t.Error("ran without a line"); return nil })
		var e *drivers.Error
		if !errors.As(err, &e) || e.Code != drivers.Absent || e.Op != "print slip" || e.Device == "" || e.Help() == "" || !e.Passing() {
			t.Errorf("got %#v", err)
		}
		s.Close()
		if err := s.Do(t.Context(), "late", nil); !errors.Is(err, drivers.Closed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestCloseEndsWorkInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := linetest.New()
		s, _ := session(pipe, drivers.Talk{})
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := make(chan error, 1)
		go func() {
			got <- s.Do(context.Background(), "read", func(ctx context.Context, p *line.Port) error {
				_, err := p.Next(ctx, time.Hour)
				return err
			})
		}()
		synctest.Wait()
		s.Close()
		if err := <-got; !errors.Is(err, drivers.Closed) {
			t.Errorf("got %v", err)
		}
		pipe.Unplug()
	})
}

// One device that takes no bytes must not hold up anything but itself, and
// closing it must not take long.
func TestWedgedDeviceIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := linetest.New()
		s, st := session(pipe, drivers.Talk{})
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		pipe.Wedge(true)
		err := s.Do(t.Context(), "print", func(ctx context.Context, p *line.Port) error {
			_, err := p.Write(ctx, make([]byte, 100))
			return err
		})
		if !errors.Is(err, drivers.Wedged) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if !strings.Contains(st.String(), "wedged") {
			t.Errorf("story: %s", st)
		}
		start := time.Now()
		s.Close()
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("close took %s", d)
		}
		pipe.Unplug()
	})
}

func TestOpenThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		s := drivers.NewSession(drivers.Config{Port: "mem"}, drivers.Env{OpenLine: func(context.Context, string, line.Settings) (line.Raw, error) {
			<-free
			return nil, line.ErrAbsent
		}}, drivers.Talk{})
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		if c := s.State().Code; c != drivers.Absent {
			t.Errorf("state %s", c)
		}
		s.Close()
		close(free)
	})
}

func TestQuietAndReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := linetest.New()
		var log []string
		s, _ := session(pipe, drivers.Talk{
			Receive: func(b []byte, _ time.Time) { log = append(log, string(b)) }, Quiet: func() { log = append(log, "quiet") }, QuietAfter: 100 * time.Millisecond})
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, b := range []string{"a", "b"} {
			pipe.Device().Write([]byte(b))
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(time.Second)
		s.Close()
		if got := strings.Join(log, " "); got != "a b quiet" {
			t.Errorf("got %q", got)
		}
		pipe.Unplug()
	})
}
