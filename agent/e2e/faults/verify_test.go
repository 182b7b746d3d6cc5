package faults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/agenttest"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// job is one image to be looked at.
type job struct {
	Dir   string
	Token string
	Asked int  // calls that had been made when the power went
	Told  int  // of those, answered
	Sent  sent // what the centre had
	Whole bool // look at every answer, not only at the latest and some others
	// Forget has the agent forget the answers it gave: a negative control.
	Forget bool
	// NoRules: there is no rulebook, so nothing is sold.
	NoRules bool
	// Aside is the digest of a damaged journal that must be kept whole.
	Aside string
	// Hurt: a file of the folder was damaged; see verifyHurt.
	Hurt *hurt
}

// verdict of a job.
type verdict struct {
	Bad string // empty: all is well
	MS  int64
}

// verifier is the child: it reads the calls, then jobs, and answers each.
func verifier(in io.Reader, out io.Writer) int {
	r := json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
	w := json.NewEncoder(out)
	var calls []*call
	if err := r.Decode(&calls); err != nil {
		return 2
	}
	for {
		var j job
		if err := r.Decode(&j); err != nil {
			if errors.Is(err, io.EOF) {
				return 0
			}
			return 2
		}
		began := time.Now()
		v := verdict{}
		if err := j.verify(calls); err != nil {
			v.Bad = err.Error()
		}
		v.MS = time.Since(began).Milliseconds()
		if err := w.Encode(v); err != nil {
			return 2
		}
	}
}

// verify starts the agent on an image, makes the calls in flight again and
// holds the journal against what was told.
func (j *job) verify(calls []*call) error {
	if j.Hurt != nil {
		return j.verifyHurt(calls)
	}
	s := configs.DefaultAgent()
	s.Data, s.API.Listen = j.Dir, "127.0.0.1:0"
	a, err := agent.Open(agent.Options{Settings: s, Version: "test", Log: slog.New(slog.DiscardHandler), Check: examine})
	if err != nil {
		return fmt.Errorf("the agent does not start: %w", err)
	}
	err = j.sell(a, calls)
	if e := a.Close(); err == nil && e != nil {
		err = fmt.Errorf("close: %w", e)
	}
	if err != nil {
		return err
	}
	if j.Aside != "" {
		return j.asideIs()
	}
	return j.chain(calls)
}

// examine is what the real program does in a child of its own; here we are one.
func examine(path string) error {
	if err := store.Examine(path); errors.Is(err, store.ErrDamaged) {
		return err
	}
	return nil
}

// sell repeats what was told, and what was in flight, and sells something new.
func (j *job) sell(a *agent.Agent, calls []*call) error {
	if set, _ := filepath.Glob(filepath.Join(j.Dir, "*.damaged-*")); len(set) > 0 && j.Aside == "" {
		return fmt.Errorf("set aside: %s", filepath.Base(set[0]))
	}
	if err := a.Till().Start(context.Background()); err != nil {
		return fmt.Errorf("settle what was open: %w", err)
	}
	h := a.Till().Handler(http.NotFoundHandler())
	ask := func(c *call) (int, string) {
		r := httptest.NewRequest(http.MethodPost, "http://"+a.Addr().String()+c.Path, strings.NewReader(c.Body))
		r.Header.Set("Authorization", "Bearer "+j.Token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", c.Key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for n, c := range calls[:j.Told] {
		if !j.Whole && j.Told-n > 8 && n%23 != j.Told%23 || c.Status != http.StatusOK {
			continue
		}
		again := *c
		if j.Forget {
			again.Key += "-forgotten"
		}
		if status, answer := ask(&again); status != c.Status || digest(answer) != c.Answer {
			return fmt.Errorf("%s of %s was told and is now answered %d %.200s", c.Does, c.Receipt, status, answer)
		}
	}
	for _, c := range calls[j.Told:j.Asked] {
		if status, answer := ask(c); status != http.StatusOK {
			return fmt.Errorf("%s of %s in flight, made again: %d %.200s", c.Does, c.Receipt, status, answer)
		}
	}
	if j.NoRules {
		return nil
	}
	c := &call{Path: "/v1/receipts/AFTER/capture", Key: "after", Body: `{"shift":"S1","receipt":{"currency":"GBP","lines":[{"sku":"1","quantity":"1","price":"1.00"}]}}`}
	if status, answer := ask(c); status != http.StatusOK {
		return fmt.Errorf("no sale after the start: %d %.200s", status, answer)
	}
	return nil
}

// chain proves the journal and counts what is in it.
func (j *job) chain(calls []*call) error {
	jr, err := store.OpenJournal(j.Dir, store.Options{Identity: outbox.Identity{Device: agenttest.Device, Epoch: 1},
		Stamp: func() outbox.Stamp { return outbox.Stamp{} }})
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	defer jr.Close()
	box := jr.Box()
	if err := box.Verify(); err != nil {
		return err
	}
	if j.Sent.Seq > 0 {
		if h, err := box.HashAt(j.Sent.Seq); err != nil || h != j.Sent.Hash {
			return fmt.Errorf("the centre has record %d, and the journal has another: %w", j.Sent.Seq, err)
		}
	}
	commits, returns := map[string]int{}, map[string]int{}
	err = box.Each(func(_ uint64, b []byte) error {
		r, err := wire.DecodeRecord(b)
		if err != nil {
			return err
		}
		switch r.Type {
		case wire.TypeCommit:
			commits[r.Receipt]++
		case wire.TypeReturn:
			returns[r.Receipt]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	for n, c := range calls[:j.Asked] {
		if c.Status != http.StatusOK && n < j.Told {
			continue
		}
		switch {
		case c.Does == "capture" && commits[c.Receipt] != 1:
			return fmt.Errorf("%s is in the journal %d times", c.Receipt, commits[c.Receipt])
		case c.Does == "return" && returns[c.Receipt] != 1:
			return fmt.Errorf("the return of %s is in the journal %d times", c.Receipt, returns[c.Receipt])
		}
	}
	if commits["AFTER"] != 1 && !j.NoRules {
		return fmt.Errorf("the sale after the start is in the journal %d times", commits["AFTER"])
	}
	return nil
}

// child is a verifier at work. One that dies over an image has found a bad one,
// and another takes its place.
type child struct {
	role  string
	first []byte // what it is told at its start
	cmd   *exec.Cmd
	in    *json.Encoder
	out   *json.Decoder
	pipe  io.Closer
	err   *bytes.Buffer // what it said on standard error
}

func (c *child) start() error {
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), roleVar+"="+c.role, "GOMAXPROCS=2")
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	c.err = &bytes.Buffer{}
	c.cmd.Stderr = c.err
	if err := c.cmd.Start(); err != nil {
		return err
	}
	c.in, c.out, c.pipe = json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out)), in
	_, err = in.Write(c.first)
	return err
}

func (c *child) stop() {
	if c.cmd != nil {
		c.pipe.Close()
		_ = c.cmd.Wait() // what it found is told already
		c.cmd = nil
	}
}

// died begins the verdict of a child that did not live to tell.
const died = "the program that looked at it died"

// look has the child judge one image.
func (c *child) look(j any) verdict {
	if c.cmd == nil {
		if err := c.start(); err != nil {
			return verdict{Bad: "cannot look: " + err.Error()}
		}
	}
	var v verdict
	err := c.in.Encode(j)
	if err == nil {
		err = c.out.Decode(&v)
	}
	if err != nil {
		c.pipe.Close()
		err = c.cmd.Wait()
		c.cmd = nil
		return verdict{Bad: fmt.Sprintf(died+": %v: %.300s", err, c.err)}
	}
	return v
}

// crew is several children that share the work.
type crew struct {
	wg   sync.WaitGroup
	work chan func(*child, int)
	mu   sync.Mutex

	tried, settled int
	bad            []string
	nbad           int
	slowest        int64
}

func newCrew(t testing.TB, role string, first any, size int) *crew {
	t.Helper()
	b, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	c := &crew{work: make(chan func(*child, int))}
	for i := range size {
		c.wg.Go(func() {
			ch := &child{role: role, first: b}
			defer ch.stop()
			for f := range c.work {
				f(ch, i)
			}
		})
	}
	return c
}

// note takes a verdict down.
func (c *crew) note(where string, v verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried++
	c.slowest = max(c.slowest, v.MS)
	if v.Bad != "" {
		c.nbad++
		if len(c.bad) < 5 {
			c.bad = append(c.bad, where+": "+v.Bad)
		}
	}
}

func (c *crew) bads() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nbad
}

// end waits for the children.
func (c *crew) end() {
	close(c.work)
	c.wg.Wait()
}
