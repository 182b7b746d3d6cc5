package linktest_test

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"

	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/linktest"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/uplink/uplinktest"
)

// image copies a stopped till's journal.
func (tl *till) image() string {
	tl.t.Helper()
	raw, err := os.ReadFile(tl.path)
	if err != nil {
		tl.t.Fatal(err)
	}
	path := filepath.Join(tl.t.TempDir(), "image.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		tl.t.Fatal(err)
	}
	return path
}

// twin opens an image as another machine.
func (tl *till) twin(c *centre, path string) *till {
	tl.t.Helper()
	p, err := linktest.Listen(c.addr)
	if err != nil {
		tl.t.Fatal(err)
	}
	tw := &till{t: tl.t, path: path, id: tl.id, proxy: p, url: "ws://" + p.Addr(), opts: tl.opts}
	tw.open()
	tl.t.Cleanup(func() { tw.stop(); tw.Till.Close(); p.Close() })
	return tw
}

func alarmed(c *centre, kinds ...hub.AlarmKind) bool {
	for _, a := range c.store.Alarms() {
		for _, k := range kinds {
			if a.Kind == k {
				return true
			}
		}
	}
	return false
}

func (tl *till) run(t *testing.T, c *centre, n int) {
	t.Helper()
	if err := tl.SellMany("m", 1, n); err != nil {
		t.Fatal(err)
	}
	tl.start()
	until(t, "drained", tl.drained)
	tl.stop()
}

// TestClonesAreFoundOut: a copied disk, used before or after the original.
func TestClonesAreFoundOut(t *testing.T) {
	cases := []struct {
		name  string
		sells int // at the clone, before it connects
		kinds []hub.AlarmKind
	}{
		{"old image restored", 0, []hub.AlarmKind{hub.AlarmBehind}},
		{"shorter", 3, []hub.AlarmKind{hub.AlarmBehind}},
		{"same length", 6, []hub.AlarmKind{hub.AlarmFork, hub.AlarmSession}},
		{"longer", 40, []hub.AlarmKind{hub.AlarmSession}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := newCentre(t, nil, nil)
			tl := newTill(t, c, 1, nil)
			tl.run(t, c, 10)
			tw := tl.twin(c, tl.image())
			tl.run(t, c, 5) // SESSION and five sales
			before := len(c.store.Stored(tl.id.Device, 1))
			if tc.sells > 0 {
				if err := tw.SellMany("m", 1000, tc.sells); err != nil {
					t.Fatal(err)
				}
			}
			tw.start()
			until(t, "clone was told", func() bool { return tw.ForkedBy() != "" })
			until(t, "clone brought its journal", func() bool { return len(c.store.Evidence(tl.id.Device)) == 11+tc.sells })
			if !alarmed(c, tc.kinds...) {
				t.Errorf("alarms %+v", c.store.Alarms())
			}
			agree(t, c, tl) // what the original sent is untouched
			if n := len(c.store.Stored(tl.id.Device, 1)); n != before {
				t.Errorf("%d records, before %d", n, before)
			}
			until(t, "clone stays out", func() bool { return tw.sess.State().Phase == uplink.Forked })
			// The identity is in quarantine: the original is stopped as well,
			// until the device is enrolled again.
			tl.start()
			until(t, "original was told", func() bool { return tl.ForkedBy() != "" })
			tl.stop()
			tl.reenrol(t, c)
			tl.run(t, c, 4)
			agree(t, c, tl)
		})
	}
}

// reenrol makes epoch+1 with an empty journal beside the old one.
func (tl *till) reenrol(t *testing.T, c *centre) {
	t.Helper()
	tl.id.Epoch++
	key := uplinktest.Key(tl.id.Device).Public().(ed25519.PublicKey)
	if err := c.store.Enrol(hub.Device{ID: tl.id.Device, Epoch: tl.id.Epoch, Key: key}); err != nil {
		t.Fatal(err)
	}
	if err := tl.Till.Close(); err != nil {
		t.Fatal(err)
	}
	tl.open()
}

func TestTwoLiveTwins(t *testing.T) {
	c := newCentre(t, nil, nil)
	tl := newTill(t, c, 1, nil)
	tl.run(t, c, 10)
	tw := tl.twin(c, tl.image())
	tl.start()
	until(t, "online", func() bool { return tl.sess.State().Phase == uplink.Online })
	tw.start()
	until(t, "twins noticed", func() bool { return alarmed(c, hub.AlarmTwins, hub.AlarmBehind, hub.AlarmSession) })
	until(t, "both are told", func() bool { return tl.ForkedBy() != "" && tw.ForkedBy() != "" })
}

// TestCentreFromOldBackup: the centre has less than it once confirmed; the
// tills bring it again.
func TestCentreFromOldBackup(t *testing.T) {
	c := newCentre(t, nil, nil)
	tl := newTill(t, c, 1, nil)
	tl.run(t, c, 10)
	raw, err := os.ReadFile(c.path)
	if err != nil {
		t.Fatal(err)
	}
	tl.run(t, c, 300)
	c.kill()
	if err := os.WriteFile(c.path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	c.start()
	tl.proxy.Retarget(c.addr)
	if err := tl.SellMany("m", 1, 3); err != nil {
		t.Fatal(err)
	}
	tl.start()
	until(t, "all there again", func() bool {
		h, err := tl.Box.Head()
		return err == nil && len(c.store.Stored(tl.id.Device, 1)) == int(h.Seq) && tl.drained()
	})
	tl.stop()
	agree(t, c, tl)
}

func TestRefusals(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(d *hub.Device)
		code  string
		phase uplink.Phase
	}{
		{"wrong key", func(d *hub.Device) { d.Key = uplinktest.Key("other").Public().(ed25519.PublicKey) }, "bad_signature", uplink.Refused},
		{"revoked", func(d *hub.Device) { d.State = hub.Revoked }, "revoked", uplink.Refused},
		{"other epoch", func(d *hub.Device) { d.Epoch = 2 }, "epoch", uplink.Refused},
		{"quarantined", func(d *hub.Device) { d.State = hub.Quarantined }, "fork", uplink.Forked},
		{"unknown", func(d *hub.Device) { d.ID = uplinktest.DeviceID(99) }, "unknown_device", uplink.Refused},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := newCentre(t, nil, nil)
			id := outbox.Identity{Device: uplinktest.DeviceID(1), Epoch: 1}
			p, err := linktest.Listen(c.addr)
			if err != nil {
				t.Fatal(err)
			}
			tl := &till{t: t, path: filepath.Join(t.TempDir(), "j.db"), id: id, proxy: p, url: "ws://" + p.Addr()}
			tl.open()
			t.Cleanup(func() { tl.stop(); tl.Till.Close(); p.Close() })
			d := hub.Device{ID: id.Device, Epoch: 1, Key: tl.Key.Public().(ed25519.PublicKey)}
			tc.spoil(&d)
			if err := c.store.Enrol(d); err != nil {
				t.Fatal(err)
			}
			if err := tl.SellMany("m", 1, 3); err != nil {
				t.Fatal(err)
			}
			tl.start()
			until(t, "refused", func() bool {
				st := tl.sess.State()
				return st.Phase == tc.phase && st.LastError != ""
			})
			if n := len(c.store.Stored(id.Device, 1)); n != 0 {
				t.Errorf("%d records were taken", n)
			}
		})
	}
}
