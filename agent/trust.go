package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tillside/tillside/agent/internal/private"
	"github.com/tillside/tillside/sync/trust"
	"github.com/tillside/tillside/sync/wire"
)

// TrustFile holds which keys this till believes and how high it has seen.
const TrustFile = "trust.json"

// keyring is the till's trust on disk: what it takes is remembered before it
// counts. It is safe for concurrent use. Without a root (the till is not
// enrolled) it believes nothing.
type keyring struct {
	path string

	mu sync.Mutex
	st *trust.State
}

var errNoRoot = errors.New("this till has no root to go by; enrol it")

// openKeyring reads the trust of a data folder. A file that was damaged or
// changed is an error that the agent outlives: it sells on with the rulebook
// it cannot have verified any more left out.
func openKeyring(dir string) (*keyring, error) {
	k := &keyring{path: filepath.Join(dir, TrustFile)}
	b, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return k, fmt.Errorf("read trust: %w", err)
	}
	k.st, err = trust.Load(b)
	return k, err
}

// ask runs a question on the state.
func (k *keyring) ask(f func(*trust.State) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.st == nil {
		return fmt.Errorf("%w: %w", errNoRoot, trust.ErrSignature)
	}
	return f(k.st)
}

// change runs f on the state and stores it. When it cannot be stored nothing
// has changed: the next start must not know less than this run acted on.
func (k *keyring) change(f func(*trust.State) error) error {
	return k.ask(func(*trust.State) error {
		st, err := trust.Load(k.st.Bytes())
		if err != nil {
			return err
		}
		if err := f(st); err != nil {
			return err
		}
		if err := private.WriteFile(k.path, st.Bytes()); err != nil {
			return err
		}
		k.st = st
		return nil
	})
}

// version is that of the root that is followed; 0: none.
func (k *keyring) version() (v int64) {
	_ = k.ask(func(st *trust.State) error { v = st.Root().Version; return nil })
	return v
}

// follow takes a root that came down the line. done is false when it is known
// already or older.
func (k *keyring) follow(signed []byte, now time.Time) (done, forgot bool, err error) {
	if s, err := trust.ParseSigned(signed); err == nil {
		if r, err := trust.ParseRoot(s.Payload); err == nil && r.Version < k.version() {
			return false, false, nil // the lane began anew
		}
	}
	before := k.version()
	err = k.change(func(st *trust.State) error {
		roles, err := st.Follow(signed, now)
		for _, r := range roles {
			forgot = forgot || r == trust.RoleRulebook
		}
		return err
	})
	return err == nil && k.version() != before, forgot, err
}

// accept remembers that a rulebook came into force.
func (k *keyring) accept(b *wire.Bundle) error {
	return k.change(func(st *trust.State) error { st.AcceptBundle(b); return nil })
}

// SaveTrust begins the trust of a data folder with a root that enrolment
// brought.
func SaveTrust(dir string, root []byte) error {
	st, err := trust.Begin(root)
	if err != nil {
		return err
	}
	return private.WriteFile(filepath.Join(dir, TrustFile), st.Bytes())
}
