package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// TestLargeStoreOn32Bits (F24): the program for 32 bits starts on a store of
// 600 MB, sells, is killed, starts again.
func TestLargeStoreOn32Bits(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "386" {
		t.Skip("this machine does not run 386 programs")
	}
	megabytes := pick(30, 600)
	exe := filepath.Join(t.TempDir(), "tillside-386")
	build := exec.Command("go", "build", "-o", exe, "../../cmd/tillside")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=386")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if err := exec.Command(exe, "version").Run(); err != nil {
		t.Skip("this machine does not run 386 programs: ", err)
	}
	s := &shop{t: t, tmp: scratch(t), http: newClient(),
		command: func(_ string, args ...string) *exec.Cmd { return exec.Command(exe, args...) }}
	s.dir = filepath.Join(s.tmp, "data")
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.token = folder(t, s.dir, "ws://127.0.0.1:1/v1/sync")
	t.Cleanup(s.kill)
	id, err := agent.LoadIdentity(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	j, err := store.OpenJournal(s.dir, store.Options{Identity: id.Outbox(), Stamp: func() outbox.Stamp {
		return outbox.Stamp{Wall: time.Now(), Boot: "b", Clock: wire.ClockGood, Bundle: 1}
	}})
	if err != nil {
		t.Fatal(err)
	}
	big, err := json.Marshal(map[string]string{"detail": strings.Repeat("x", 10_000)})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for j.Size() < int64(megabytes)<<20 {
		err := j.Update(func(tx *store.Tx) error {
			for range 500 {
				n++
				id := fmt.Sprint("OLD", n)
				if err := tx.PutReceipt(&store.Receipt{ID: id, State: store.Captured, Basket: big, Result: json.RawMessage(`{}`)}); err != nil {
					return err
				}
				if _, err := tx.Append(outbox.Entry{Type: wire.TypeOperator, Receipt: id, Payload: json.RawMessage(`{"who":"test","action":"fill"}`)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	size := j.Size()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	slowest := time.Duration(0)
	for round := range 3 {
		began := time.Now()
		if err := s.start(); err != nil {
			t.Fatalf("start %d: %v", round, err)
		}
		slowest = max(slowest, time.Since(began))
		for i := range 20 {
			id := fmt.Sprintf("N%d-%d", round, i)
			if status, answer := s.do("capture", id, "/v1/receipts/"+id+"/capture", `{"receipt":{"currency":"GBP","lines":[{"sku":"1","quantity":"1","price":"2.00"}]}}`); status != http.StatusOK {
				t.Errorf("%d %s", status, answer)
			}
		}
		s.kill()
	}
	bad := 0
	verify := job{Dir: s.dir, Token: s.token, Asked: len(s.calls), Told: len(s.calls), Whole: true}
	if err := verify.verify(s.calls); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		bad = 1
	}
	did := fmt.Sprintf("%d MB, %d receipts: sold and killed three times, the slowest start %s", size>>20, n, slowest.Round(time.Millisecond))
	rows.add("F24", "a large store and the program for 32 bits", did, bad)
	t.Log(did)
}
