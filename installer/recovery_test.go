package installer

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestServiceSID against identifiers that Windows itself shows.
func TestServiceSID(t *testing.T) {
	for name, want := range map[string]string{
		"TrustedInstaller": "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
		"trustedinstaller": "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
		"WdiServiceHost":   "S-1-5-80-3139157870-2983391045-3678747466-658725712-1809340420",
	} {
		if got := serviceSID(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	r := dataRights(Name)
	if !strings.HasPrefix(r, "D:P") || strings.Contains(r, ";;;WD)") || strings.Contains(r, ";;;BU)") || strings.Count(r, "(A;") != 3 {
		t.Errorf("rights %s", r)
	}
}

// asked remembers what was set at a service.
type asked struct {
	pauses []time.Duration
	reset  time.Duration
	onExit bool
	source bool
	refuse bool
}

var errRefused = errors.New("not supported here")

func (a *asked) SetRecovery(p []time.Duration, reset time.Duration) error {
	a.pauses, a.reset = p, reset
	if a.refuse {
		return errRefused
	}
	return nil
}
func (a *asked) SetRecoveryOnExit(on bool) error { a.onExit = on; return nil }
func (a *asked) AddEventSource() error           { a.source = true; return nil }

// TestRecoveryIsAskedFor: 5, 30 and 60 seconds, for failing exits too. A
// refused part does not stop the others.
func TestRecoveryIsAskedFor(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		a := &asked{refuse: refuse}
		err := complete(a)
		if refuse != errors.Is(err, errRefused) {
			t.Errorf("refused %v: %v", refuse, err)
		}
		if len(a.pauses) != 3 || a.pauses[0] != 5*time.Second || a.pauses[1] != 30*time.Second || a.pauses[2] != time.Minute || a.reset != 24*time.Hour {
			t.Errorf("pauses %v, reset %v", a.pauses, a.reset)
		}
		if !a.onExit || !a.source {
			t.Errorf("%+v", a)
		}
	}
}
