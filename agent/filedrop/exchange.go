package filedrop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is what an Exchange is made of. Optional fields say so.
type Config struct {
	Settings Settings
	Till     string // whose folder it is: "store/till"
	// Ask makes a call of the API as this program's own caller.
	Ask func(ctx context.Context, c Call) (status int, answer []byte)
	// Say words a refusal of a file in the till's language: the API's error.
	Say func(field, text string) json.RawMessage
	// Trouble is told how the folder is: "" when all is well. Optional.
	Trouble func(text string)
	// Refused is told how many files lie in failed. Optional.
	Refused func(n int)
	// Waiting is told how many files wait to be booked. Optional.
	Waiting func(n int)
	Log     *slog.Logger     // optional
	Now     func() time.Time // optional
}

// Exchange is a folder at work. Run it once.
type Exchange struct {
	c       Config
	s       Settings
	at      folder
	seen    map[string]*sight
	waiting map[string]*wait
	opened  bool
	counted time.Time // when failed was counted

	mu     sync.Mutex
	begun  time.Time // when the look that is under way began; zero: none is
	doneN  int
	failsN int
}

// sight is a file as it was at the last look.
type sight struct {
	size   int64
	mod    time.Time
	since  time.Time // when it was first seen like this, by our clock
	asked  bool      // its text was looked at
	ready  bool
	closed bool
	torn   bool
}

// wait is a file in work whose turn comes again.
type wait struct {
	next     time.Time
	pause    time.Duration
	answered bool   // only the move is missing
	failed   string // where to, when answered: the reason
	said     bool
}

// New makes an exchange; nothing is touched before Run.
func New(c Config) *Exchange {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	for _, f := range []*func(int){&c.Refused, &c.Waiting} {
		if *f == nil {
			*f = func(int) {}
		}
	}
	if c.Trouble == nil {
		c.Trouble = func(string) {}
	}
	s := c.Settings.Defaults()
	return &Exchange{c: c, s: s, at: newFolder(&s), seen: map[string]*sight{}, waiting: map[string]*wait{}}
}

// Hangs is how long a look may take before the folder is said not to answer: a
// share whose server went away can block for minutes.
const Hangs = 15 * time.Second

// Run looks into the folder until ctx is done. A call to a dead share cannot be
// called back: Run leaves it behind then.
func (x *Exchange) Run(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(x.s.Poll)
		defer tick.Stop()
		for {
			x.mu.Lock()
			x.begun = x.c.Now()
			x.mu.Unlock()
			x.Look(ctx)
			x.mu.Lock()
			x.begun = time.Time{}
			x.mu.Unlock()
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	watch := time.NewTicker(time.Second)
	defer watch.Stop()
	for {
		select {
		case <-watch.C:
			x.mu.Lock()
			begun := x.begun
			x.mu.Unlock()
			if !begun.IsZero() && x.c.Now().Sub(begun) > Hangs {
				x.c.Trouble(x.s.Folder + " does not answer; sales go on, their files wait")
			}
		case <-ctx.Done():
			grace := time.NewTimer(5 * time.Second)
			defer grace.Stop()
			select {
			case <-ended:
			case <-grace.C:
				x.c.Log.Warn("files: the folder does not answer, left behind", "folder", x.s.Folder)
			}
			return ctx.Err()
		}
	}
}

// Counts tells how many files were answered and refused since the start.
func (x *Exchange) Counts() (done, failed int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.doneN, x.failsN
}

// Look looks once: at what waits in work, then at what is new.
func (x *Exchange) Look(ctx context.Context) {
	err := x.look(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		x.opened = false
		x.c.Trouble(err.Error())
		return
	}
	x.c.Trouble("")
}

func (x *Exchange) look(ctx context.Context) error {
	if !x.opened {
		if err := x.at.open(x.c.Till); err != nil {
			return err
		}
		x.opened = true
	}
	left, err := os.ReadDir(x.at.work)
	if err != nil {
		return err
	}
	now := x.c.Now()
	for _, e := range left {
		if w := x.waiting[e.Name()]; e.Type().IsRegular() && !temporary(e.Name()) && (w == nil || !now.Before(w.next)) {
			if ctx.Err() != nil {
				return nil
			}
			x.process(ctx, e.Name())
		}
	}
	list, err := os.ReadDir(x.at.in)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	var files []fs.FileInfo
	for _, e := range list {
		names[e.Name()] = true
		// Folders and links are nobody's receipts: a link would let its maker read
		// with our rights.
		if !e.Type().IsRegular() || temporary(e.Name()) || x.isFlag(e.Name()) {
			continue
		}
		if st, err := e.Info(); err == nil {
			files = append(files, st)
		}
	}
	slices.SortStableFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) }) // a return after its sale
	for _, st := range files {
		if ctx.Err() != nil {
			return nil
		}
		if x.ready(st, names) {
			x.take(ctx, st.Name())
		}
	}
	for n := range x.seen {
		if !names[n] {
			delete(x.seen, n)
		}
	}
	x.clearFlags(names)
	x.tell(now)
	return nil
}

func (x *Exchange) isFlag(name string) bool {
	return x.s.Flag != "" && strings.HasSuffix(strings.ToLower(name), strings.ToLower(x.s.Flag))
}

// flagOf is the flag that belongs to a file: NAME.json.flag or NAME.flag.
func (x *Exchange) flagOf(name string, names map[string]bool) string {
	for _, f := range []string{name + x.s.Flag, stem(name) + x.s.Flag} {
		for n := range names {
			if strings.EqualFold(n, f) {
				return n
			}
		}
	}
	return ""
}

// clearFlags moves flags whose file is gone, so that the next file of the name
// waits for its own.
func (x *Exchange) clearFlags(names map[string]bool) {
	if x.s.Flag == "" {
		return
	}
	for n := range names {
		if !x.isFlag(n) {
			continue
		}
		base, wanted := n[:len(n)-len(x.s.Flag)], false
		for o := range names {
			if o != n && !x.isFlag(o) && (strings.EqualFold(o, base) || strings.EqualFold(stem(o), base)) {
				if _, err := os.Lstat(filepath.Join(x.at.in, o)); err == nil {
					wanted = true
				}
			}
		}
		if s := x.seen[n]; !wanted && s != nil && x.c.Now().Sub(s.since) >= x.s.Settle {
			if _, err := move(filepath.Join(x.at.in, n), x.at.done, x.c.Now(), true); err != nil {
				x.c.Log.Debug("files: flag not moved", "file", n, "error", err)
			}
		} else if s == nil {
			x.seen[n] = &sight{since: x.c.Now()}
		} else if wanted {
			s.since = x.c.Now()
		}
	}
}

// ready tells whether a file is whole.
func (x *Exchange) ready(st fs.FileInfo, names map[string]bool) bool {
	if x.s.Flag != "" {
		return x.flagOf(st.Name(), names) != ""
	}
	now := x.c.Now()
	s := x.seen[st.Name()]
	if s == nil || s.size != st.Size() || !s.mod.Equal(st.ModTime()) {
		x.seen[st.Name()] = &sight{size: st.Size(), mod: st.ModTime(), since: now}
		return false
	}
	still := now.Sub(s.since)
	if !s.asked {
		b, err := read(filepath.Join(x.at.in, st.Name()), x.s.MaxBytes)
		var p *Problem
		if err != nil && !errors.As(err, &p) { // somebody holds it, or it is gone
			return false
		}
		s.asked = true
		if err == nil {
			var f *File
			f, err = Read(st.Name(), b, &x.s)
			s.closed = f.Closed
			if err == nil && !f.Closed {
				s.torn = !strings.HasSuffix(f.Text.Text, "\n")
			}
		}
		s.ready = err == nil
		if errors.As(err, &p) {
			s.torn = p.Torn
		}
	}
	switch {
	case s.ready && s.closed:
		return true
	case s.ready && s.torn: // a last row without its end
		return still >= 3*x.s.Settle
	case !s.ready && s.torn:
		return still >= x.s.Patience
	}
	return still >= x.s.Settle
}

// take moves a file to work, from where only this till goes on with it.
func (x *Exchange) take(ctx context.Context, name string) {
	if _, err := os.Lstat(filepath.Join(x.at.work, name)); err == nil {
		return // the one before it is not booked yet
	}
	from := filepath.Join(x.at.in, name)
	if err := os.Rename(from, filepath.Join(x.at.work, name)); err != nil {
		x.c.Log.Debug("files: not taken yet", "file", name, "error", err)
		return
	}
	syncDir(x.at.work)
	delete(x.seen, name)
	x.process(ctx, name)
}

// process answers a file in work and moves it on.
func (x *Exchange) process(ctx context.Context, name string) {
	w := x.waiting[name]
	if w == nil {
		w = &wait{pause: time.Second}
		x.waiting[name] = w
	}
	path := filepath.Join(x.at.work, name)
	again := func(why string, err error) {
		w.next = x.c.Now().Add(w.pause)
		w.pause = min(2*w.pause, 30*time.Second)
		if !w.said {
			w.said = true
			x.c.Log.Info("files: waits", "file", name, "why", why, "error", err)
		}
	}
	if !w.answered {
		st, err := os.Stat(path)
		if err != nil {
			again("not there", err)
			return
		}
		b, err := read(path, x.s.MaxBytes)
		var p *Problem
		if err != nil && !errors.As(err, &p) {
			again("not readable now", err)
			return
		}
		f := &File{Format: format(name)}
		if err == nil {
			f, err = Read(name, b, &x.s)
		}
		var results []Result
		if err != nil {
			results = []Result{x.refused(nil, err)}
		} else if results = x.ask(ctx, f, stem(name)); results == nil {
			if ctx.Err() == nil {
				again("cannot be booked now", nil)
			}
			return
		}
		if err := write(x.at.out, answerName(name, f, &x.s), Render(f, &x.s, results), st.Mode()); err != nil {
			again("answer not written", err)
			return
		}
		w.answered = true
		for i := range results {
			if !results[i].OK() && w.failed == "" {
				w.failed = why(&results[i])
			}
		}
	}
	var to string
	var err error
	if w.failed == "" {
		to, err = move(path, x.at.done, x.c.Now(), true)
	} else {
		to, err = move(path, x.at.failed, x.c.Now(), false)
	}
	if err != nil {
		again("answered, not moved", err)
		return
	}
	delete(x.waiting, name)
	if x.s.Flag != "" {
		for _, n := range []string{name + x.s.Flag, stem(name) + x.s.Flag} {
			if p := filepath.Join(x.at.in, n); exists(p) {
				_, _ = move(p, x.at.done, x.c.Now(), true) // clearFlags tries again
			}
		}
	}
	x.mu.Lock()
	if w.failed == "" {
		x.doneN++
	} else {
		x.failsN++
	}
	x.mu.Unlock()
	if w.failed == "" {
		x.c.Log.Debug("files: answered", "file", name)
		return
	}
	x.c.Log.Warn("files: refused", "file", name, "why", w.failed)
	x.counted = time.Time{}
	if err := write(filepath.Dir(to), filepath.Base(to)+whySuffix, []byte(w.failed+"\r\n"), 0o644); err != nil {
		x.c.Log.Debug("files: reason not written", "file", name, "error", err)
	}
}

const whySuffix = ".why.txt"

func exists(path string) bool { _, err := os.Lstat(path); return err == nil }

// ask makes the calls of every request; nil when one has to wait.
func (x *Exchange) ask(ctx context.Context, f *File, stem string) []Result {
	var out []Result
	for i, d := range f.Requests {
		name := stem
		if len(f.Requests) > 1 {
			name = fmt.Sprintf("%s-%d", stem, i+1)
		}
		calls, err := d.Calls(&x.s, name)
		if err != nil {
			out = append(out, x.refused(d, err))
			continue
		}
		r := Result{ID: d.Fields["id"], Request: d.Fields["request"]}
		for _, c := range calls {
			var body []byte
			r.Status, body = x.c.Ask(ctx, c)
			if passing(r.Status) && (d.Waits(&x.s) || ctx.Err() != nil) {
				return nil
			}
			if !r.OK() {
				var e struct {
					Error json.RawMessage `json:"error"`
				}
				_ = json.Unmarshal(body, &e) // the API's own
				r.Answer, r.Error = nil, e.Error
				break
			}
			r.Answer = body
		}
		out = append(out, r)
	}
	return out
}

// passing tells refusals that may be over when the same is asked again.
func passing(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests || status == http.StatusInternalServerError
}

// refused is the answer to what could not even be asked.
func (x *Exchange) refused(d *Document, err error) Result {
	p := &Problem{}
	if !errors.As(err, &p) {
		p.Text = err.Error()
	}
	text := p.Text
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	var e struct {
		Error json.RawMessage `json:"error"`
	}
	_ = json.Unmarshal(x.c.Say(p.Field, text), &e) // made by ourselves
	r := Result{Status: http.StatusUnprocessableEntity, Error: e.Error}
	if d != nil {
		r.ID, r.Request = d.Fields["id"], d.Fields["request"]
	}
	return r
}

// why is a refusal in one line for a technician.
func why(r *Result) string {
	var e struct{ Code, Message, Hint, Field string }
	_ = json.Unmarshal(r.Error, &e) // the API's own
	s := e.Code + ": " + e.Message
	if e.Field != "" {
		s += " (" + e.Field + ")"
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	if r.ID != "" {
		s = r.ID + ": " + s
	}
	return s
}

// tell tells how many files wait and how many were refused and not looked at.
func (x *Exchange) tell(now time.Time) {
	for n := range x.waiting {
		if !exists(filepath.Join(x.at.work, n)) {
			delete(x.waiting, n) // somebody took it away
		}
	}
	x.c.Waiting(len(x.waiting))
	if now.Sub(x.counted) < 30*time.Second {
		return
	}
	x.counted = now
	list, err := os.ReadDir(x.at.failed)
	if err != nil {
		return
	}
	n := 0
	for _, e := range list {
		if e.Type().IsRegular() && !strings.HasSuffix(e.Name(), whySuffix) && !temporary(e.Name()) {
			n++
		}
	}
	x.c.Refused(n)
}
