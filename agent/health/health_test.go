package health

import (
	"testing"
	"time"
)

func codes(list []Shown) string {
	s := ""
	for _, w := range list {
		s += w.Code + ":" + w.Subject + " "
	}
	return s
}

func TestShownAfterDelayAndByRank(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	tr := &Tracker{Now: func() time.Time { return now }}
	var told []string
	tr.Watch(func(l []Shown) { told = append(told, codes(l)) })

	down := LinkDown.With(time.Minute)
	tr.Raise(down, "", "no route")
	tr.Raise(DeviceDown, "printer", "paper out")
	if got := codes(tr.Current()); got != "device_down:printer " {
		t.Errorf("at once: %s", got)
	}
	now = now.Add(time.Minute)
	tr.Check()
	if got := codes(tr.Current()); got != "device_down:printer link_down: " && got != "link_down: device_down:printer " {
		t.Errorf("after a minute: %s", got)
	}
	tr.Raise(StoreBroken, "", "input/output error")
	if got := tr.Current(); got[0].Code != "store_error" {
		t.Errorf("worst first: %s", codes(got))
	}
	tr.Clear(StoreBroken, "")
	tr.Clear(down, "")
	tr.Clear(down, "")
	tr.Clear(DeviceDown, "printer")
	if got := codes(tr.Current()); got != "" {
		t.Errorf("all clear: %s", got)
	}
	if len(told) != 6 {
		t.Errorf("told %d times: %q", len(told), told)
	}
}

func TestCauseHidesEffect(t *testing.T) {
	tr := &Tracker{}
	tr.Raise(QueueOld, "", "")
	tr.Raise(LinkDown, "", "")
	if got := codes(tr.Current()); got != "link_down: " {
		t.Error(got)
	}
	tr.Clear(LinkDown, "")
	if got := codes(tr.Current()); got != "queue_old: " {
		t.Error(got)
	}
}

func TestKindsHideOnlyKnownKinds(t *testing.T) {
	all := []Kind{NotEnrolled, NoRulebook, LinkDown, LinkRefused, QueueOld, RecordParked, RulebookOld, AloneLong, RulebookBad, DeviceDown,
		SlipLost, CacheRebuilt, JournalAside, DiskLow, StoreBroken, ClockBad, Unresolved, RelayAway, RelayEnd, PassUnread, PassLate, PassRefused}
	known := map[string]bool{}
	for _, k := range all {
		if k.Code == "" || k.Title == "" || k.Severity == "" || known[k.Code] {
			t.Errorf("kind %+v is incomplete or repeated", k)
		}
		known[k.Code] = true
	}
	for _, k := range all {
		for _, h := range k.Hides {
			if !known[h] {
				t.Errorf("%s hides %s, which does not exist", k.Code, h)
			}
		}
	}
}
