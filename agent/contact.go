package agent

import (
	"sync"
	"time"

	"github.com/tillside/tillside/agent/store"
)

// contact knows when the centre was last heard, over restarts: how old the
// member data is, and how long this till has been alone.
type contact struct {
	now    func() time.Time
	online func() (now bool, lost time.Time) // lost: when the last link ended, zero: there was none

	mu   sync.Mutex
	last time.Time
	kept time.Time // what is on disk
}

const (
	keyContact   = "contact"
	contactEvery = time.Minute // of writing it down
)

func (c *contact) load(j *store.Journal) error {
	return j.View(func(tx *store.Tx) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if err := c.last.UnmarshalBinary(tx.Meta(keyContact)); err != nil {
			c.last = time.Time{}
		}
		c.kept = c.last
		return nil
	})
}

// at is the last time; now, while there is a link.
func (c *contact) at() time.Time {
	on, lost := c.online()
	c.mu.Lock()
	defer c.mu.Unlock()
	if on {
		lost = c.now()
	}
	if on || lost.After(c.last) {
		c.last = lost
	}
	return c.last
}

// save writes the time down when it moved on by more than every.
func (c *contact) save(j *store.Journal, every time.Duration) error {
	last := c.at()
	c.mu.Lock()
	old := c.kept
	c.mu.Unlock()
	if last.IsZero() || last.Sub(old) < every && !last.Before(old) || last.Equal(old) {
		return nil
	}
	b, err := last.MarshalBinary()
	if err != nil {
		return err
	}
	if err := j.Update(func(tx *store.Tx) error { return tx.SetMeta(keyContact, b) }); err != nil {
		return err
	}
	c.mu.Lock()
	c.kept = last
	c.mu.Unlock()
	return nil
}
