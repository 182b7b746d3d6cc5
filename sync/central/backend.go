package central

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/central/release"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/wire"
)

// backend is what the hub sees of the centre.
type backend struct{ *Server }

var (
	_ hub.Backend        = (*backend)(nil)
	_ hub.EvidenceKeeper = (*backend)(nil)
	_ hub.Historian      = (*backend)(nil)
)

func (b *backend) Device(ctx context.Context, id string) (hub.Device, error) {
	var out hub.Device
	err := b.db.Read(ctx, func(tx *db.Tx) error {
		d, err := fleet.ByID(tx, id)
		if errors.Is(err, fleet.ErrUnknown) {
			return hub.ErrUnknownDevice
		}
		if err != nil {
			return err
		}
		out = hub.Device{ID: d.ID, Epoch: d.Epoch, Key: d.Key, State: hub.DeviceState(d.State), Acked: d.Acked, SessionNo: d.SessionNo, Store: d.Store, Till: d.Till}
		out.WantedBundle, err = rulebook.ForStore(tx, d.Store)
		return err
	})
	return out, err
}

func (b *backend) Ingest(ctx context.Context, in *hub.Batch) (hub.Ingested, error) {
	batch := &ledger.Batch{Device: in.Device.ID, Epoch: in.Device.Epoch, After: in.After, Last: in.Last, SessionNo: in.SessionNo, Items: make([]*ledger.Item, len(in.Items))}
	for i := range in.Items {
		it := &in.Items[i]
		batch.Items[i] = ledger.Prepare(it.Seq, it.Raw, it.Record, it.Problem)
	}
	parked, err := b.ingester.Ingest(ctx, batch)
	switch {
	case errors.Is(err, ledger.ErrWatermark), errors.Is(err, ledger.ErrNoDevice):
		return hub.Ingested{}, fmt.Errorf("%w: %w", hub.ErrWatermark, err)
	case errors.Is(err, ledger.ErrClosed):
		return hub.Ingested{}, hub.Busy(2 * time.Second)
	case err != nil:
		return hub.Ingested{}, err
	}
	b.hub.WakeAll(wire.LaneMember)
	return hub.Ingested{Parked: parked}, nil
}

func (b *backend) Alarm(ctx context.Context, a hub.Alarm) error {
	b.log.Warn("alarm of a till's journal", "kind", a.Kind, "device", a.Device, "epoch", a.Epoch, "ours", a.Ours.Seq, "theirs", a.Theirs.Seq, "detail", a.Detail, "remote", a.Remote)
	return b.db.Write(ctx, func(tx *db.Tx) error {
		d, err := fleet.ByID(tx, a.Device)
		if err != nil {
			return err
		}
		detail := fmt.Sprintf("%s; ours %d %.16s, theirs %d %.16s, from %s", a.Detail, a.Ours.Seq, a.Ours.Hash, a.Theirs.Seq, a.Theirs.Hash, a.Remote)
		err = ledger.Find(tx, "journal_"+string(a.Kind), ledger.Source{Device: d.No, Epoch: a.Epoch, Seq: a.Theirs.Seq}, detail, a.At)
		if err != nil || !a.Kind.Stop() {
			return err
		}
		return fleet.Quarantine(tx, a.Device, "journal "+string(a.Kind))
	})
}

func (b *backend) KeepEvidence(ctx context.Context, d hub.Device, from uint64, records [][]byte, end bool) error {
	return b.db.Write(ctx, func(tx *db.Tx) error {
		dev, err := fleet.ByID(tx, d.ID)
		if err != nil {
			return err
		}
		return ledger.KeepEvidence(tx, dev.No, d.Epoch, from, records, b.cfg.Now())
	})
}

func (b *backend) HashAt(ctx context.Context, device string, epoch uint32, seq uint64) (h wire.Hash, ok bool, err error) {
	err = b.db.Read(ctx, func(tx *db.Tx) error {
		d, err := fleet.ByID(tx, device)
		if err != nil {
			return err
		}
		raw, err := ledger.Record(tx, d.No, epoch, seq)
		if raw != nil {
			h, ok = wire.HashOf(raw), true
		}
		return err
	})
	return h, ok, err
}

func (b *backend) Feed(ctx context.Context, d hub.Device, lane wire.Lane, after uint64, maxItems, maxBytes int) (*wire.Feed, error) {
	f := &wire.Feed{Lane: lane, After: after, Upto: after}
	err := b.db.Read(ctx, func(tx *db.Tx) error {
		switch lane {
		case wire.LaneUrgent:
			return b.feedUrgent(tx, f, maxItems)
		case wire.LaneRulebook:
			return feedRulebook(tx, f, d.Store)
		case wire.LaneTrust:
			return feedTrust(tx, f)
		case wire.LaneLease:
			return b.feedLeases(tx, f, d.ID, maxItems)
		case wire.LaneMember:
			return b.feedMembers(tx, f, d, maxItems, maxBytes)
		case wire.LaneProgram:
			return feedReleases(tx, f)
		case wire.LaneCommand:
			return b.feedCommands(tx, f, d.ID, maxItems)
		}
		return nil
	})
	return f, err
}

func (b *backend) feedUrgent(tx *db.Tx, f *wire.Feed, maxItems int) error {
	head, err := tx.Counter("urgent")
	if err != nil {
		return err
	}
	b.rewind(f, head)
	return tx.Rows(`SELECT n, kind, ref, member, status FROM urgent WHERE n > ? ORDER BY n LIMIT ?`, []any{int64(f.After), maxItems}, func(r *sql.Rows) error {
		var n int64
		var ref []byte
		var id loyalty.MemberID
		item := wire.UrgentItem{}
		if err := r.Scan(&n, &item.Do, &ref, &id, &item.Reason); err != nil {
			return err
		}
		copy(item.Ref[:], ref)
		item.Member, item.Order = id.String(), fmt.Sprint(n)
		if item.Do != wire.UrgentErase {
			item.Member = "" // one card, not the member's others
		}
		raw, err := wire.FeedItem(item)
		f.Items, f.Upto = append(f.Items, raw), uint64(n)
		f.More = f.Upto < uint64(head)
		return err
	})
}

// feedTrust sends the roots a till has not followed yet.
func feedTrust(tx *db.Tx, f *wire.Feed) error {
	versions, signed, err := keys.After(tx, f.After)
	if err != nil || len(versions) == 0 {
		return err
	}
	for _, s := range signed {
		raw, err := wire.FeedItem(wire.TrustItem{Root: s})
		if err != nil {
			return err
		}
		f.Items = append(f.Items, raw)
	}
	f.Upto = versions[len(versions)-1]
	return nil
}

// feedReleases sends the newest list of programs.
func feedReleases(tx *db.Tx, f *wire.Feed) error {
	version, signed, err := release.Newest(tx)
	if err != nil || uint64(version) <= f.After {
		return err
	}
	raw, err := wire.FeedItem(wire.ReleaseItem{Signed: signed})
	f.Items, f.Upto = []json.RawMessage{raw}, uint64(version)
	return err
}

func feedRulebook(tx *db.Tx, f *wire.Feed, store string) error {
	head, err := rulebook.ForStore(tx, store)
	if err != nil {
		return err
	}
	if head == 0 || uint64(head) <= f.After {
		return nil // a rulebook is never taken back, whatever we have lost
	}
	bundle, err := rulebook.Get(tx, head)
	if err != nil {
		return err
	}
	raw, err := wire.FeedItem(bundle)
	f.Items, f.Upto = []json.RawMessage{raw}, uint64(head)
	return err
}

// feedMembers sends each changed member once, as it is now.
func (b *backend) feedMembers(tx *db.Tx, f *wire.Feed, d hub.Device, maxItems, maxBytes int) error {
	head, err := tx.Counter("feed")
	if err != nil {
		return err
	}
	b.rewind(f, head)
	dev, err := fleet.ByID(tx, d.ID)
	if err != nil {
		return err
	}
	f.Includes = wire.Mark{Epoch: dev.Epoch, Seq: dev.Acked.Seq}
	if f.Also, err = fleet.StoreMarks(tx, dev.Store, dev.ID); err != nil {
		return err
	}
	most := min(maxItems, 1000)
	var at []uint64
	var ids []loyalty.MemberID
	err = tx.Rows(`SELECT f.n, f.member FROM feed f JOIN member_state s ON s.member = f.member AND s.changed = f.n WHERE f.n > ? ORDER BY f.n LIMIT ?`,
		[]any{int64(f.After), most}, func(r *sql.Rows) error {
			var n int64
			var id loyalty.MemberID
			err := r.Scan(&n, &id)
			at, ids = append(at, uint64(n)), append(ids, id)
			return err
		})
	if err != nil {
		return fmt.Errorf("read feed: %w", err)
	}
	items, err := b.members.Snapshots(tx, ids)
	if err != nil {
		return err
	}
	size := 0
	for i := range items {
		raw, err := wire.FeedItem(items[i])
		if err != nil {
			return err
		}
		if size += len(raw); size > maxBytes && i > 0 {
			f.More = true
			return nil
		}
		f.Items, f.Upto = append(f.Items, raw), at[i]
	}
	if len(items) < most {
		f.Upto = uint64(head) // the rest was overtaken by what is in here
	} else {
		f.More = f.Upto < uint64(head)
	}
	return nil
}

func (b *backend) FeedAcked(ctx context.Context, d hub.Device, lane wire.Lane, cursor uint64) error {
	return nil // the till keeps its cursors and tells them in every HELLO
}

func (b *backend) Ask(ctx context.Context, d hub.Device, what string, body json.RawMessage) (any, error) {
	switch what {
	case wire.AskHoldWhat:
		var q wire.AskHold
		if err := json.Unmarshal(body, &q); err != nil {
			return nil, &hub.AskError{Code: wire.AnswerRefused, Err: err}
		}
		return b.askHold(ctx, d, q)
	case wire.AskMemberWhat:
		var q wire.AskMember
		if err := json.Unmarshal(body, &q); err != nil {
			return nil, &hub.AskError{Code: wire.AnswerRefused, Err: err}
		}
		return b.askMember(ctx, d, q)
	case wire.AskReceiptWhat:
		var q wire.AskReceipt
		if err := json.Unmarshal(body, &q); err != nil {
			return nil, &hub.AskError{Code: wire.AnswerRefused, Err: err}
		}
		return b.askReceipt(ctx, q)
	}
	return nil, &hub.AskError{Code: wire.AnswerUnknown, Err: fmt.Errorf("question %q", what)}
}

func (b *backend) askHold(ctx context.Context, d hub.Device, q wire.AskHold) (*wire.AnswerHold, error) {
	var id loyalty.MemberID
	points, err := loyalty.ParsePoints(q.Points)
	if err := errors.Join(err, id.UnmarshalText([]byte(q.Member))); err != nil {
		return nil, &hub.AskError{Code: wire.AnswerRefused, Err: err}
	}
	reason, have, err := b.hold(ctx, ledger.HoldRequest{ID: q.Hold, Member: id, Wallet: q.Wallet, Points: points, Receipt: q.Receipt}, d.ID, func(tx *db.Tx) (string, error) {
		return mayNotSpend(tx, id, q.CardRef)
	})
	if err != nil {
		return nil, err
	}
	answer := &wire.AnswerHold{Granted: reason == "", Reason: reason}
	err = b.db.Read(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		away, err := b.reach(tx, id, q.Wallet)
		answer.Available = (have.Available + away.Near).String()
		if reason == "reserved" {
			answer.Available = have.Available.String() // those that were asked did not give it back in time
		}
		answer.Reserved, answer.ReservedAt = away.Far.String(), away.Stores
		return err
	})
	if err != nil {
		return nil, err
	}
	if answer.Granted {
		answer.Points = points.String()
		b.hub.WakeAll(wire.LaneMember)
	}
	return answer, nil
}

// mayNotSpend says why a member may not spend with a card; "" when they may.
func mayNotSpend(tx *db.Tx, id loyalty.MemberID, ref wire.Ref) (string, error) {
	var state string
	ok, err := tx.Row(`SELECT state FROM member WHERE id = ?`, []any{int64(id)}, &state)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "unknown_member", nil
	case state != "active":
		return "blocked", nil
	case ref.IsZero():
		return "", nil
	}
	var owner loyalty.MemberID
	var status string
	ok, err = tx.Row(`SELECT member, status FROM card WHERE ref = ?`, []any{ref[:]}, &owner, &status)
	switch {
	case err != nil:
		return "", err
	case !ok || owner != id:
		return "unknown_card", nil
	case status == "inactive":
		return "inactive", nil
	case status != "active":
		return "blocked", nil
	}
	return "", nil
}

func (b *backend) askMember(ctx context.Context, d hub.Device, q wire.AskMember) (*wire.AnswerMember, error) {
	answer := &wire.AnswerMember{}
	err := b.db.Read(ctx, func(tx *db.Tx) error {
		dev, err := fleet.ByID(tx, d.ID)
		if err != nil {
			return err
		}
		answer.Includes = wire.Mark{Epoch: dev.Epoch, Seq: dev.Acked.Seq}
		if answer.Also, err = fleet.StoreMarks(tx, dev.Store, dev.ID); err != nil {
			return err
		}
		var id loyalty.MemberID
		if q.Member != "" {
			if err := id.UnmarshalText([]byte(q.Member)); err != nil {
				return &hub.AskError{Code: wire.AnswerRefused, Err: err}
			}
		} else if id, err = members.ByRef(tx, q.Ref); errors.Is(err, members.ErrUnknown) {
			return nil
		} else if err != nil {
			return err
		}
		items, err := b.members.Snapshots(tx, []loyalty.MemberID{id})
		if err != nil {
			return err
		}
		answer.Item = items[0]
		answer.Known = items[0].Do == wire.MemberPut
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func (b *backend) Presence(ctx context.Context, p hub.Presence) {
	if p.Online {
		b.log.Info("till connected", "device", p.Device, "remote", p.Remote, "program", p.Agent, "rulebook", p.Bundle, "session", p.SessionNo)
	} else {
		b.log.Info("till gone", "device", p.Device, "reason", p.Reason)
	}
	err := b.db.Write(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		return fleet.Heard(tx, fleet.Report{Device: p.Device, At: p.At, Program: p.Agent, Bundle: p.Bundle, Last: p.Last.Seq})
	})
	if err == nil && p.Online && p.Bundle > 0 {
		err = b.raise(context.WithoutCancel(ctx), p)
	}
	if err != nil {
		b.log.Error("note presence", "device", p.Device, "error", err)
	}
}
