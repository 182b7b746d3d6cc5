package hub

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

const device = "dev-0123456789"

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, 32))

func chain(t *testing.T, n int, twist string) [][]byte {
	t.Helper()
	var out [][]byte
	prev := wire.Hash{}
	for i := range n {
		r := &wire.Record{Device: device, Epoch: 1, Seq: uint64(i + 1), Prev: prev, ID: "0199a0c2-7b1e-7cde-8f00-0123456789ab", Type: wire.TypeEarn,
			Wall: time.UnixMilli(1_764_000_000_000), Boot: "b", Clock: wire.ClockGood, Payload: json.RawMessage(`{"x":"` + twist + `"}`)}
		b, err := wire.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
		prev = wire.HashOf(b)
	}
	return out
}

func push(records [][]byte, from, to int) *wire.Push {
	last := wire.Head{Seq: uint64(to), Hash: wire.HashOf(records[to-1])}
	return &wire.Push{From: uint64(from), Records: records[from-1 : to], Last: last, Sig: wire.SignPush(key, device, 1, last)}
}

func TestVerdictAtHello(t *testing.T) {
	h := wire.HashOf([]byte("ours"))
	dev := Device{ID: device, Epoch: 2, State: Active, Acked: wire.Head{Seq: 10, Hash: h}, SessionNo: 5}
	body := func(f func(*wire.HelloBody)) *wire.HelloBody {
		b := &wire.HelloBody{Device: device, Epoch: 2, Last: wire.Head{Seq: 10, Hash: h}, SessionNo: 5}
		f(b)
		return b
	}
	cases := []struct {
		name  string
		dev   func(*Device)
		body  func(*wire.HelloBody)
		alarm AlarmKind
		code  string
	}{
		{"as it should be", nil, func(*wire.HelloBody) {}, "", ""},
		{"with news", nil, func(b *wire.HelloBody) { b.Last = wire.Head{Seq: 50, Hash: wire.HashOf([]byte("x"))} }, "", ""},
		{"session the centre has not seen yet", nil, func(b *wire.HelloBody) { b.SessionNo = 6 }, "", ""},
		{"behind", nil, func(b *wire.HelloBody) { b.Last.Seq = 9 }, AlarmBehind, wire.RefuseFork},
		{"empty journal", nil, func(b *wire.HelloBody) { b.Last = wire.Head{} }, AlarmBehind, wire.RefuseFork},
		{"other record", nil, func(b *wire.HelloBody) { b.Last.Hash[0] ^= 1 }, AlarmFork, wire.RefuseFork},
		{"old session", nil, func(b *wire.HelloBody) { b.SessionNo, b.Last.Seq = 4, 30 }, AlarmSession, wire.RefuseFork},
		{"old epoch", nil, func(b *wire.HelloBody) { b.Epoch = 1 }, "", wire.RefuseEpoch},
		{"epoch of the future", nil, func(b *wire.HelloBody) { b.Epoch = 3 }, "", wire.RefuseEpoch},
		{"revoked", func(d *Device) { d.State = Revoked }, func(*wire.HelloBody) {}, "", wire.RefuseRevoked},
		{"in quarantine", func(d *Device) { d.State = Quarantined }, func(*wire.HelloBody) {}, "", wire.RefuseFork},
	}
	for _, tc := range cases {
		d := dev
		if tc.dev != nil {
			tc.dev(&d)
		}
		alarm, refuse := verdict(d, body(tc.body))
		code := ""
		if refuse != nil {
			code = refuse.Code
		}
		if alarm != tc.alarm || code != tc.code {
			t.Errorf("%s: alarm %q, refused %q", tc.name, alarm, code)
		}
	}
}

// historian answers from a list, and nothing else.
type historian struct {
	Backend
	records [][]byte
}

func (h historian) HashAt(_ context.Context, _ string, _ uint32, seq uint64) (wire.Hash, bool, error) {
	if seq == 0 || seq > uint64(len(h.records)) {
		return wire.Hash{}, false, nil
	}
	return wire.HashOf(h.records[seq-1]), true, nil
}

func TestJoin(t *testing.T) {
	ours, theirs := chain(t, 30, "a"), chain(t, 30, "b")
	unsigned := func(p *wire.Push) *wire.Push { p.Sig = make([]byte, 64); return p }
	junk := func() *wire.Push {
		// Record 13 is no record; 14 follows its bytes all the same.
		rs := append([][]byte(nil), ours[:12]...)
		rs = append(rs, []byte("not a record"))
		r, err := wire.DecodeRecord(ours[13])
		if err != nil {
			t.Fatal(err)
		}
		r.Prev = wire.HashOf(rs[12])
		b, err := wire.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, b)
		return push(rs, 11, 14)
	}
	swapped := func() *wire.Push {
		rs := append([][]byte(nil), ours...)
		rs[11], rs[12] = rs[12], rs[11]
		return push(rs, 11, 20)
	}
	cases := []struct {
		name  string
		queue []*wire.Push
		from  uint64 // first new record; 0: no batch
		to    uint64
		reply wire.Frame
		err   error
	}{
		{"new", []*wire.Push{push(ours, 11, 20)}, 11, 20, nil, nil},
		{"two at once", []*wire.Push{push(ours, 11, 20), push(ours, 21, 30)}, 11, 30, nil, nil},
		{"repeat", []*wire.Push{push(ours, 1, 10)}, 0, 0, &wire.Ack{Seq: 10, Hash: wire.HashOf(ours[9])}, nil},
		{"old repeat", []*wire.Push{push(ours, 3, 5)}, 0, 0, &wire.Ack{Seq: 10, Hash: wire.HashOf(ours[9])}, nil},
		{"overlap", []*wire.Push{push(ours, 5, 15)}, 11, 15, nil, nil},
		{"repeat then new", []*wire.Push{push(ours, 6, 10), push(ours, 11, 12)}, 11, 12, nil, nil},
		{"new twice", []*wire.Push{push(ours, 11, 12), push(ours, 11, 12)}, 11, 12, nil, nil},
		{"gap", []*wire.Push{push(ours, 12, 20)}, 0, 0, &wire.Nack{Expected: 11}, nil},
		{"gap between two", []*wire.Push{push(ours, 11, 15), push(ours, 17, 20)}, 11, 15, &wire.Nack{Expected: 16}, nil},
		{"junk is carried", []*wire.Push{junk()}, 11, 14, nil, nil},
		{"other branch", []*wire.Push{push(theirs, 11, 20)}, 0, 0, nil, wire.ErrChain},
		{"other branch, overlapping", []*wire.Push{push(theirs, 5, 20)}, 0, 0, nil, wire.ErrChain},
		{"other branch, repeated", []*wire.Push{push(theirs, 1, 10)}, 0, 0, nil, wire.ErrChain},
		{"other branch, long ago", []*wire.Push{push(theirs, 1, 5)}, 0, 0, nil, wire.ErrChain},
		{"other branch in the same queue", []*wire.Push{push(ours, 11, 15), push(theirs, 11, 13)}, 0, 0, nil, wire.ErrChain},
		{"out of order inside", []*wire.Push{swapped()}, 0, 0, nil, wire.ErrChain},
		{"not signed", []*wire.Push{unsigned(push(ours, 11, 20))}, 0, 0, nil, wire.ErrSignature},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			h := &Hub{cfg: Config{Backend: historian{records: ours[:10]}, Log: slog.New(slog.DiscardHandler), Now: time.Now}, ctx: context.Background()}
			h.cfg.Timing = h.cfg.Timing.withDefaults()
			s := &session{h: h, ctx: context.Background(), dev: Device{ID: device, Epoch: 1, Key: key.Public().(ed25519.PublicKey)},
				acked: wire.Head{Seq: 10, Hash: wire.HashOf(ours[9])}}
			b, reply, err := s.join(tc.queue)
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			if tc.from == 0 {
				if b != nil {
					t.Fatalf("a batch of %d", len(b.Items))
				}
			} else {
				if b == nil || b.Items[0].Seq != tc.from || b.Last.Seq != tc.to || len(b.Items) != int(tc.to-tc.from+1) || b.After != s.acked {
					t.Fatalf("batch %+v", b)
				}
				if err := wire.VerifyPush(s.dev.Key, device, 1, b.Last, b.Sig); err != nil {
					t.Error(err)
				}
				for i, it := range b.Items {
					if (it.Record == nil) != (it.Problem != "") {
						t.Errorf("item %d: %+v", i, it)
					}
				}
			}
			if want, _ := json.Marshal(tc.reply); string(want) != "null" || reply != nil {
				got, _ := json.Marshal(reply)
				if string(got) != string(want) {
					t.Errorf("reply %s, want %s", got, want)
				}
			}
		})
	}
}
