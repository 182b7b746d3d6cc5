package faults

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/wire"
)

// TestImagesAndClones (F14): an old image of a till's disk put back over a
// newer one, and a copy of a disk that works beside the first. Both are found
// out at the first contact, spending stops, and selling does not.
func TestImagesAndClones(t *testing.T) {
	outcome := func(t *testing.T, what, did string) {
		bad := 0
		if t.Failed() {
			bad = 1
		}
		rows.add("F14", what, did, bad)
	}
	setup := func(t *testing.T) (*headOffice, *shop) {
		o := newHeadOffice(t)
		s := &shop{t: t, tmp: scratch(t), http: newClient()}
		s.dir = filepath.Join(s.tmp, "data")
		if err := os.Mkdir(s.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		s.token = folder(t, s.dir, "ws://"+o.addr+wire.SyncPath)
		t.Cleanup(s.kill)
		return o, s
	}
	begin := func(t *testing.T, o *headOffice, s *shop) {
		t.Helper()
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		until(t, "the link is up", func() bool { return s.status().Mode == "online" && len(o.hub.Online()) == 1 })
	}
	sales := func(t *testing.T, s *shop, n int) {
		t.Helper()
		for range n {
			id := fmt.Sprintf("%s%04d", filepath.Base(s.dir), len(s.calls))
			if status, answer := s.do("capture", id, "/v1/receipts/"+id+"/capture", `{"receipt":{"currency":"GBP","lines":[{"sku":"1","quantity":"1","price":"2.00"}]}}`); status != http.StatusOK {
				t.Errorf("%d %s", status, answer)
			}
		}
	}
	copied := func(t *testing.T, from, to string) {
		t.Helper()
		_ = os.Remove(filepath.Join(from, "api.sock")) // a socket is no file that an image holds
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	// stopped proves that a till spends nothing and sells on.
	stopped := func(t *testing.T, s *shop) {
		t.Helper()
		until(t, "the till knows", func() bool { return s.status().warns("link_refused") })
		id := "SPEND" + filepath.Base(s.dir)
		status, answer := s.do("authorise", id, "/v1/receipts/"+id+"/authorise", fmt.Sprintf(`{"currency":"GBP","member":%q,"spend":"1","lines":[{"sku":"1","quantity":"1","price":"9.90"}]}`, s.identify(cards[0])))
		if status != http.StatusOK || strings.Contains(answer, `"hold"`) || !strings.Contains(answer, "forked") {
			t.Errorf("spending after the fork: %d %.400s", status, answer)
		}
		sales(t, s, 1)
	}
	kinds := func(o *headOffice) (out []hub.AlarmKind) {
		for _, a := range o.store.Alarms() {
			out = append(out, a.Kind)
		}
		return out
	}
	t.Run("old image", func(t *testing.T) {
		o, s := setup(t)
		begin(t, o, s)
		sales(t, s, 3)
		until(t, "drained", s.drained)
		s.stop()
		image := filepath.Join(s.tmp, "image")
		copied(t, s.dir, image)
		begin(t, o, s)
		sales(t, s, 5)
		until(t, "drained", s.drained)
		s.stop()
		s.dir = image
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		stopped(t, s)
		if k := kinds(o); len(k) != 1 {
			t.Errorf("alarms %v", k)
		}
		outcome(t, "an old image put back over a newer disk", fmt.Sprintf("found out at the first contact (%v); spending stopped, selling went on", kinds(o)))
	})
	t.Run("clone", func(t *testing.T) {
		o, s := setup(t)
		begin(t, o, s)
		sales(t, s, 3)
		until(t, "drained", s.drained)
		s.stop()
		twin := &shop{t: t, tmp: scratch(t), http: newClient(), token: s.token}
		twin.dir = filepath.Join(twin.tmp, "twin")
		copied(t, s.dir, twin.dir)
		t.Cleanup(twin.kill)
		begin(t, o, s)
		sales(t, s, 2)
		until(t, "drained", s.drained)
		if err := twin.start(); err != nil {
			t.Fatal(err)
		}
		stopped(t, twin)
		stopped(t, s) // nobody knows which of them is the real one
		if k := kinds(o); len(k) == 0 {
			t.Error("no alarm")
		}
		outcome(t, "a copy of a disk at work beside the first", fmt.Sprintf("found out at the first contact (%v); both stop spending until a person has looked", kinds(o)))
	})
	t.Run("one folder", func(t *testing.T) {
		_, s := setup(t)
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		second := &shop{t: t, tmp: s.tmp, http: newClient(), token: s.token}
		err := second.startOn(s.dir)
		second.kill()
		if err == nil || !strings.Contains(err.Error(), "another agent works on this data folder") {
			t.Errorf("a second agent on one folder: %v", err)
		}
		sales(t, s, 2)
		outcome(t, "two agents on one folder", "the second refuses to start and says why, the first goes on")
	})
}
