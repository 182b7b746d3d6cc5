package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// TestBacklog (F11, F24): a till comes back after 30 days of 2,000 receipts.
// Real programs at both ends, over loopback and over 1 Mbit/s, and the memory
// of both while it drains.
func TestBacklog(t *testing.T) {
	records := pick(1500, 60_000)
	for name, line := range map[string]struct {
		delay time.Duration
		bytes int
		goal  time.Duration
	}{
		"over loopback":             {0, 0, time.Minute},
		"over 1 Mbit/s, 40 ms away": {20 * time.Millisecond, 125_000, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if *long == 0 && line.bytes > 0 {
				t.Skip("in the long form")
			}
			c := newChain(t, 1)
			k := c.tills[0]
			for i := range 40 {
				if err := k.one(t.Context(), fmt.Sprint("B", i), i); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "drained", func() bool {
				st, err := k.status(t.Context())
				return err == nil && st.Journal.Seq > 0 && st.Journal.Acked == st.Journal.Seq
			})
			k.proc.Stop()
			bytes := k.away(t, records)
			k.link.Slow(line.delay, line.bytes)
			up, _ := k.link.Bytes()
			began := time.Now()
			if err := k.proc.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			nearBefore, farBefore := anon(k.proc.Pid()), anon(c.centre.Pid())
			near, far, slowest := nearBefore, farBefore, time.Duration(0)
			for n := 0; ; n++ {
				st, err := k.status(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				near, far = max(near, anon(k.proc.Pid())), max(far, anon(c.centre.Pid()))
				if st.Journal.Acked >= uint64(records) {
					break
				}
				at := time.Now()
				if n%10 == 0 { // the shop goes on
					if err := k.one(context.WithoutCancel(t.Context()), fmt.Sprint("M", n), n); err != nil {
						t.Fatal(err)
					}
					slowest = max(slowest, time.Since(at))
				}
				if time.Since(began) > 30*time.Minute {
					t.Fatal("does not drain")
				}
				time.Sleep(20 * time.Millisecond)
			}
			took := time.Since(began)
			sent, _ := k.link.Bytes()
			bad := 0
			if took > line.goal {
				bad++
				t.Errorf("%s for %d records, the goal is %s", took, records, line.goal)
			}
			if near > nearBefore+48<<10 {
				bad++
				t.Errorf("the till grew from %d to %d KiB", nearBefore, near)
			}
			did := fmt.Sprintf("%d receipts (%.0f MB in the journal, %.1f MB sent) in %.1f s; memory of the till %d to %d MiB, of the centre %d to %d; slowest sale meanwhile %s",
				records, float64(bytes)/1e6, float64(sent-up)/1e6, took.Seconds(), nearBefore>>10, near>>10, farBefore>>10, far>>10, slowest.Round(time.Millisecond))
			rows.add("F11", "a backlog of 30 days "+name, did, bad)
			t.Log(did)
		})
	}
}

// away puts n receipts into the journal of a stopped till, made of the ones
// that are in it.
func (k *killTill) away(t *testing.T, n int) (bytes int) {
	t.Helper()
	id, err := agent.LoadIdentity(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	j, err := store.OpenJournal(k.dir, store.Options{Identity: id.Outbox(), Stamp: func() outbox.Stamp {
		return outbox.Stamp{Wall: time.Now(), Boot: "b", Clock: wire.ClockGood, Bundle: 1}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var real []json.RawMessage
	err = j.Box().Each(func(_ uint64, b []byte) error {
		r, err := wire.DecodeRecord(b)
		if err != nil || r.Type != wire.TypeCommit {
			return err
		}
		var c wire.Commit
		if err := json.Unmarshal(r.Payload, &c); err != nil {
			return err
		}
		if c.Hold == "" { // a hold is closed once
			real = append(real, append(json.RawMessage(nil), r.Payload...))
		}
		return nil
	})
	if err != nil || len(real) < 10 {
		t.Fatalf("%d receipts to go by, %v", len(real), err)
	}
	for at := 0; at < n; {
		err := j.Update(func(tx *store.Tx) error {
			for range min(1000, n-at) {
				p := real[at%len(real)]
				bytes += len(p)
				if _, err := tx.Append(outbox.Entry{Type: wire.TypeCommit, Receipt: fmt.Sprint("AWAY", at), Payload: p}); err != nil {
					return err
				}
				at++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return bytes
}

// anon is the memory of a process that is its own, in KiB.
func anon(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}
