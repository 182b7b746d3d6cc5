// Package health keeps what is wrong with a till right now.
//
// A warning is a named kind of trouble (Kind), declared once with code, title,
// severity, what it depends on and how long it must last before it is shown.
// Parts of the agent raise and clear a kind, for a subject where there are
// several ("printer"). Status, log, events, the cashier's page and the centre
// all read the same list.
//
//	tracker.Raise(LinkDown, "", "no route to host")   // shown after LinkDown.After
//	tracker.Clear(LinkDown, "")
//
// A cause hides its effects: while the link is down, "records are waiting" is
// not shown, since it is no news.
package health

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Severity orders warnings; Bad ones concern the sale itself.
type Severity string

// The severities.
const (
	Notice  Severity = "notice"  // somebody should know
	Warning Severity = "warning" // somebody should act today
	Bad     Severity = "bad"     // something does not work now
)

// Kind declares one kind of trouble. Kinds are compared by Code.
type Kind struct {
	Code     string // stable, snake_case: scripts and the centre go by it
	Title    string // for people, short
	Severity Severity
	// After is how long the trouble must last before it is shown.
	After time.Duration
	// Hides lists codes that are not shown while this one is.
	Hides []string
}

// Shown is one warning as status tells it.
type Shown struct {
	Code     string    `json:"code"`
	Title    string    `json:"title"`
	Severity Severity  `json:"severity"`
	Subject  string    `json:"subject,omitempty"` // device, file: which one
	Text     string    `json:"text,omitempty"`
	Since    time.Time `json:"since"`
}

// Tracker holds the warnings. It is safe for concurrent use. The zero value
// works with the system's clock.
type Tracker struct {
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	mu     sync.Mutex
	raised map[key]*entry
	watch  []func([]Shown)
	last   []Shown
}

type key struct{ code, subject string }

type entry struct {
	kind  Kind
	text  string
	since time.Time
}

func (t *Tracker) now() time.Time {
	if t.Now != nil {
		return t.Now()
	}
	return time.Now()
}

// Raise says that a trouble is there, since now unless it was there before.
func (t *Tracker) Raise(k Kind, subject, text string) {
	t.mu.Lock()
	if t.raised == nil {
		t.raised = map[key]*entry{}
	}
	if e := t.raised[key{k.Code, subject}]; e != nil {
		e.text = text
	} else {
		t.raised[key{k.Code, subject}] = &entry{k, text, t.now()}
	}
	t.mu.Unlock()
	t.Check()
}

// Clear says that a trouble is over. Clearing what was not raised is nothing.
func (t *Tracker) Clear(k Kind, subject string) {
	t.mu.Lock()
	_, was := t.raised[key{k.Code, subject}]
	delete(t.raised, key{k.Code, subject})
	t.mu.Unlock()
	if was {
		t.Check()
	}
}

// Set raises or clears by a condition.
func (t *Tracker) Set(bad bool, k Kind, subject, text string) {
	if bad {
		t.Raise(k, subject, text)
	} else {
		t.Clear(k, subject)
	}
}

// Current lists what is to be shown now, worst and oldest first.
func (t *Tracker) Current() []Shown {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current()
}

func (t *Tracker) current() []Shown {
	now := t.now()
	hidden := map[string]bool{}
	ripe := map[key]*entry{}
	for k, e := range t.raised {
		if now.Sub(e.since) >= e.kind.After {
			ripe[k] = e
			for _, h := range e.kind.Hides {
				hidden[h] = true
			}
		}
	}
	list := []Shown{}
	for k, e := range ripe {
		if !hidden[k.code] {
			list = append(list, Shown{k.code, e.kind.Title, e.kind.Severity, k.subject, e.text, e.since})
		}
	}
	rank := map[Severity]int{Bad: 0, Warning: 1, Notice: 2}
	slices.SortFunc(list, func(a, b Shown) int {
		return cmp.Or(cmp.Compare(rank[a.Severity], rank[b.Severity]), a.Since.Compare(b.Since),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Subject, b.Subject))
	})
	return list
}

// Watch registers a function that gets the list whenever it changes. It is
// called without locks held, possibly from several goroutines.
func (t *Tracker) Watch(f func([]Shown)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watch = append(t.watch, f)
}

// Check tells the watchers when the list has changed, by itself or because a
// delay has passed. The agent calls it every second.
func (t *Tracker) Check() {
	t.mu.Lock()
	list := t.current()
	same := slices.EqualFunc(list, t.last, func(a, b Shown) bool {
		return a.Code == b.Code && a.Subject == b.Subject && a.Text == b.Text
	})
	t.last = list
	watch := slices.Clone(t.watch)
	t.mu.Unlock()
	if same {
		return
	}
	for _, f := range watch {
		f(list)
	}
}
