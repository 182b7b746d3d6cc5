package till

import (
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/store"
)

// Status is how a till is. Its fields are a promise: scripts read them.
type Status struct {
	Version  string         `json:"version"`
	Store    string         `json:"store,omitempty"`
	Till     string         `json:"till,omitempty"`
	Device   string         `json:"device,omitempty"` // empty: not enrolled
	Language string         `json:"language"`
	Mode     string         `json:"mode"`
	Started  time.Time      `json:"started"`
	Link     LinkStatus     `json:"link"`
	Rulebook RulebookStatus `json:"rulebook"`
	Devices  []DeviceState  `json:"devices"`
	Journal  JournalStatus  `json:"journal"`
	Cache    CacheStatus    `json:"cache"`
	Warnings []health.Shown `json:"warnings"`
	Practice bool           `json:"practice"`
	Open     []OpenReceipt  `json:"open_receipts"`
}

// RulebookStatus is the rulebook in force.
type RulebookStatus struct {
	Version  string `json:"version,omitempty"` // "programme@12"
	Currency string `json:"currency,omitempty"`
}

// JournalStatus is the journal of records.
type JournalStatus struct {
	Epoch uint32 `json:"epoch"`
	Seq   uint64 `json:"seq"`
	Acked uint64 `json:"acked"`
	Bytes int64  `json:"bytes"`
}

// CacheStatus is what the centre sent down.
type CacheStatus struct {
	Members int `json:"members"`
	Stops   int `json:"stops"`
}

// OpenReceipt is a receipt that holds something or waits.
type OpenReceipt struct {
	Receipt string      `json:"receipt"`
	State   store.State `json:"state"`
	Since   time.Time   `json:"since"`
}

// Status tells how this till is.
func (t *Till) Status() *Status {
	s := &Status{Version: t.c.Version, Store: t.c.Store, Till: t.c.Till, Device: t.c.Device, Language: t.c.Language,
		Started: t.started.UTC().Truncate(time.Millisecond), Link: t.c.Link.Status(), Devices: t.c.Devices.States(),
		Warnings: t.c.Health.Current(), Practice: t.c.Practice, Open: []OpenReceipt{}}
	s.Mode = s.Link.Mode
	if s.Devices == nil {
		s.Devices = []DeviceState{}
	}
	if r := t.c.Rules(); r != nil {
		s.Rulebook = RulebookStatus{r.Version(), r.Currency()}
	}
	if box := t.c.Journal.Box(); box != nil {
		if st, err := box.Stats(); err == nil {
			s.Journal = JournalStatus{Epoch: st.Identity.Epoch, Seq: st.Head.Seq, Acked: st.Acked.Seq}
		}
	}
	s.Journal.Bytes = t.c.Journal.Size()
	s.Cache.Members, s.Cache.Stops = t.c.Cache.Counts()
	_ = t.c.Journal.View(func(tx *store.Tx) error {
		list, err := tx.OpenReceipts()
		for _, r := range list {
			s.Open = append(s.Open, OpenReceipt{r.ID, r.State, r.Changed})
		}
		return err
	})
	return s
}

// Healthz is the answer of a till that serves sales.
type Healthz struct {
	OK bool `json:"ok"`
}

// healthz says whether sales can be served; an unenrolled till cannot.
func (t *Till) healthz() (any, error) {
	switch {
	case t.c.Till == "":
		return nil, refuse("not_enrolled")
	case t.c.Rules() == nil:
		return nil, refuse("no_rulebook")
	}
	if err := t.c.Journal.View(func(*store.Tx) error { return nil }); err != nil {
		return nil, refuse("try_again")
	}
	return Healthz{true}, nil
}
