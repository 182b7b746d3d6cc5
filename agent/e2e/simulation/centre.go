package simulation

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing/synctest"
	"time"

	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/hub"
)

// centre is the computer at head office.
type centre struct {
	w      *world
	disk   string
	disks  int
	server *central.Server // nil: off
	door   *door
}

func (c *centre) on() {
	if c.server != nil {
		return
	}
	c.door = newDoor()
	s, err := central.Open(context.Background(), central.Config{
		Dir: c.disk, Socket: c.door, Version: "simulated", Zone: time.UTC, Now: c.w.now, Log: c.w.log.With("at", "centre"), Poll: 3 * time.Second,
		Timing: hub.Timing{Ping: time.Minute, ReadLimit: 150 * time.Second},
	})
	if err != nil {
		c.w.fail("the centre does not start: %v", err)
		return
	}
	c.server = s
	c.w.net.mu.Lock()
	c.w.net.door = c.door
	c.w.net.mu.Unlock()
}

// kill ends the centre between two of its steps.
func (c *centre) kill() {
	if c.server == nil {
		return
	}
	synctest.Wait()
	c.disks++
	next := filepath.Join(c.w.dir, fmt.Sprintf("centre-%d", c.disks))
	if err := copyFolder(c.disk, next); err != nil {
		c.w.fail("copy the centre's disk: %v", err)
	}
	c.off()
	if err := os.RemoveAll(c.disk); err != nil {
		c.w.fail("%v", err)
	}
	c.disk = next
}

// off stops the centre; the tills see their lines end.
func (c *centre) off() {
	if c.server == nil {
		return
	}
	c.w.net.mu.Lock()
	c.w.net.door = nil
	c.w.net.mu.Unlock()
	for _, m := range c.w.machines {
		m.cable.sever(0)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = c.server.Close(ctx)
	c.server = nil
}

func (c *centre) write(fn func(tx *db.Tx) error) {
	if err := c.server.DB().Write(context.Background(), fn); err != nil {
		c.w.fail("the centre cannot write: %v", err)
	}
}

func (c *centre) read(fn func(tx *db.Tx) error) {
	if err := c.server.DB().Read(context.Background(), fn); err != nil {
		c.w.fail("the centre cannot read: %v", err)
	}
}
