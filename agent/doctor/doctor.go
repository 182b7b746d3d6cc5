// Package doctor examines a till and says of each thing whether it is well and
// what to do where it is not.
//
// A check looks at one thing and returns findings; one file holds one check.
// It changes nothing, and it may look at a till whose agent runs as well as at
// one whose agent does not start: what only the running agent knows, it is
// asked for, and where it cannot be asked the check says so.
//
//	Patient ──Examine──> settings  rights  disk  agent  clock  link  devices  queue  rulebook  files
//	                        │
//	                   OK / WARN / FAIL, a code, what was found, what to do
//
// Codes are stable: scripts go by them, and installer/docs/troubleshooting.md
// has a paragraph on each.
package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"time"

	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers"
)

// Level is how bad a finding is.
type Level string

// The levels. Fail means that something does not work now.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is what a check says.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Code  string `json:"code"` // stable, snake_case; "ok" when all is well
	Text  string `json:"text"` // what was found
	Do    string `json:"do,omitempty"`
}

// Patient is what is examined. Only Settings is required.
type Patient struct {
	Settings *configs.Agent
	File     string // where the settings were read; empty: defaults
	Problem  error  // why they could not be read
	Version  string // of this program

	// Status asks the running agent; nil, or an error: it does not answer.
	Status func() (*till.Status, error)

	Enrolled bool
	Server   string      // https://centre
	SyncURL  string      // wss://centre/v1/sync
	TLS      *tls.Config // what the agent itself would use; nil: the system's authorities
	Registry *drivers.Registry

	Now func() time.Time // nil: time.Now

	status *till.Status // nil: not running
	asked  error
	heard  time.Time // the centre's time now, as its answer told; zero: not heard
}

func (p *Patient) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

// check looks at one thing.
type check struct {
	name string
	look func(ctx context.Context, p *Patient) []Finding
}

// checks in the order in which a cause stands before its effects.
var checks = []check{
	{"settings", settings}, {"rights", rights}, {"disk", disk}, {"agent", running}, {"link", link}, {"clock", clock},
	{"devices", devices}, {"queue", queue}, {"rulebook", rulebook}, {"files", held},
}

// Examine runs all checks, each bounded to half a minute, and calls tell as
// findings come. It returns all of them and the worst level.
func (p *Patient) Examine(ctx context.Context, tell func(Finding)) ([]Finding, Level) {
	if p.Status != nil {
		p.status, p.asked = p.Status()
		if p.asked != nil {
			p.status = nil
		}
	}
	all, worst := []Finding{}, OK
	for _, c := range checks {
		within, cancel := context.WithTimeout(ctx, 30*time.Second)
		for _, f := range c.look(within, p) {
			f.Check = c.name
			if f.Code == "" {
				f.Code = "ok"
			}
			if f.Level == Fail || f.Level == Warn && worst == OK {
				worst = f.Level
			}
			all = append(all, f)
			if tell != nil {
				tell(f)
			}
		}
		cancel()
	}
	return all, worst
}

// Print writes a finding for a person.
func (f Finding) Print(w io.Writer) {
	level := map[Level]string{OK: "OK", Warn: "WARN", Fail: "FAIL"}[f.Level]
	if f.Level == OK {
		fmt.Fprintf(w, "%-5s %-9s %s\n", level, f.Check, f.Text)
		return
	}
	fmt.Fprintf(w, "%-5s %-9s %s [%s]\n", level, f.Check, f.Text, f.Code)
	if f.Do != "" {
		fmt.Fprintf(w, "%-5s %-9s do: %s\n", "", "", f.Do)
	}
}

func fine(format string, a ...any) []Finding {
	return []Finding{{Level: OK, Text: fmt.Sprintf(format, a...)}}
}

func warn(code, do, format string, a ...any) Finding {
	return Finding{Level: Warn, Code: code, Text: fmt.Sprintf(format, a...), Do: do}
}

func fail(code, do, format string, a ...any) Finding {
	return Finding{Level: Fail, Code: code, Text: fmt.Sprintf(format, a...), Do: do}
}

// notAsked is the finding of a check that needs the running agent.
func notAsked(what string) []Finding {
	return fine("not looked at: the agent does not run, and only it knows %s", what)
}
