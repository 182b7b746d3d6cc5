package hub

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/tillside/tillside/sync/internal/wsconn"
	"github.com/tillside/tillside/sync/wire"
)

// helloLimit bounds what a stranger may send.
const helloLimit = 16 << 10

// welcome finds out who is there and whether the session may begin. It
// returns a registered session, or an error after REFUSE was sent.
func (h *Hub) welcome(c *wsconn.Conn, guard *wsconn.Guarded, remote, bound string) (*session, error) {
	c.Limit(helloLimit)
	ch := &wire.Challenge{Nonce: make([]byte, wire.NonceSize), Version: wire.Version, MinVersion: wire.MinVersion,
		SendMS: h.cfg.Now().UnixMilli()}
	_, _ = rand.Read(ch.Nonce) // never fails
	if err := c.Write(ch); err != nil {
		return nil, err
	}
	hello, err := readHello(c)
	if err != nil {
		return nil, err
	}
	received := h.cfg.Now()
	body, dev, refuse := h.identify(hello, ch.Nonce)
	if refuse == nil && bound != "" && bound != body.Device {
		refuse = &wire.Refuse{Code: wire.RefuseSignature, Message: "the certificate is another device's"}
	}
	if refuse == nil && body.Version > wire.Version || refuse == nil && body.Version < wire.MinVersion {
		refuse = &wire.Refuse{Code: wire.RefuseVersion, Message: fmt.Sprintf("this centre speaks %d to %d", wire.MinVersion, wire.Version)}
	}
	if refuse != nil {
		_ = c.Write(refuse)
		return nil, refuse
	}
	// The identity is proved; from here on alarms are about this device.
	s, refuse := h.register(c, body, dev, remote)
	if refuse != nil {
		_ = c.Write(refuse)
		return nil, refuse
	}
	c.Limit(wire.MaxMessage)
	w := &wire.Welcome{Version: body.Version, Acked: s.acked, SessionNo: max(s.dev.SessionNo, body.SessionNo) + 1,
		RecvMS: received.UnixMilli(), Bundle: s.dev.WantedBundle, Agent: s.dev.WantedAgent,
		Window: wire.Window, Central: h.cfg.Central, Evidence: s.evidence}
	s.no = w.SessionNo
	s.skew = time.UnixMilli(body.SendMS).Sub(received)
	w.SendMS = h.cfg.Now().UnixMilli()
	if err := c.Write(w); err != nil {
		h.unregister(s)
		s.cancel(err)
		close(s.done) // somebody may be waiting for its end
		return nil, err
	}
	guard.Until(time.Time{})
	return s, nil
}

func readHello(c *wsconn.Conn) (*wire.Hello, error) {
	for range 4 {
		f, err := c.Read()
		if err != nil {
			return nil, err
		}
		switch f := f.(type) {
		case *wire.Hello:
			return f, nil
		case *wire.Unknown:
		default:
			return nil, fmt.Errorf("%s instead of HELLO", f.Kind())
		}
	}
	return nil, errors.New("no HELLO")
}

// identify proves the identity. It is the only thing strangers can make the
// centre do, so few run at a time.
func (h *Hub) identify(hello *wire.Hello, nonce []byte) (*wire.HelloBody, Device, *wire.Refuse) {
	body, err := hello.Body()
	if err != nil {
		return nil, Device{}, &wire.Refuse{Code: wire.RefuseMalformed, Message: err.Error()}
	}
	select {
	case h.greet <- struct{}{}:
		defer func() { <-h.greet }()
	case <-time.After(h.cfg.Timing.Hello):
		return nil, Device{}, h.busy()
	case <-h.ctx.Done():
		return nil, Device{}, h.busy()
	}
	dev, err := h.device(body.Device)
	switch {
	case errors.Is(err, ErrUnknownDevice):
		return nil, Device{}, &wire.Refuse{Code: wire.RefuseUnknown}
	case err != nil:
		h.cfg.Log.Error("read device", "device", body.Device, "error", err)
		return nil, Device{}, h.busy()
	}
	if err := hello.Verify(dev.Key, nonce); err != nil {
		return nil, Device{}, &wire.Refuse{Code: wire.RefuseSignature}
	}
	return body, dev, nil
}

func (h *Hub) device(id string) (Device, error) {
	ctx, cancel := context.WithTimeout(h.ctx, h.cfg.Timing.Hello)
	defer cancel()
	return h.cfg.Backend.Device(ctx, id)
}

func (h *Hub) busy() *wire.Refuse {
	return &wire.Refuse{Code: wire.RefuseBusy, AfterMS: h.cfg.Timing.Busy.Milliseconds()}
}

// verdict compares what a till shows with what the centre has. It decides
// nothing else and touches nothing: the whole judgement about forks at HELLO
// is in these lines.
func verdict(dev Device, b *wire.HelloBody) (AlarmKind, *wire.Refuse) {
	switch {
	case dev.State == Revoked:
		return "", &wire.Refuse{Code: wire.RefuseRevoked}
	case b.Epoch != dev.Epoch:
		return "", &wire.Refuse{Code: wire.RefuseEpoch, Message: fmt.Sprintf("epoch %d is enrolled", dev.Epoch)}
	case dev.State == Quarantined:
		return "", &wire.Refuse{Code: wire.RefuseFork, Message: "this till is in quarantine; enrol it again"}
	case b.Last.Seq < dev.Acked.Seq:
		return AlarmBehind, forked("the till's journal ends at %d, the centre has %d", b.Last.Seq, dev.Acked.Seq)
	case b.Last.Seq == dev.Acked.Seq && b.Last.Hash != dev.Acked.Hash:
		return AlarmFork, forked("the till's record %d is another one than the centre's", b.Last.Seq)
	case b.SessionNo < dev.SessionNo:
		return AlarmSession, forked("the till knows session %d, its journal has shown %d", b.SessionNo, dev.SessionNo)
	}
	return "", nil
}

func forked(format string, args ...any) *wire.Refuse {
	return &wire.Refuse{Code: wire.RefuseFork, Message: fmt.Sprintf(format, args...)}
}

// register makes the session the one of its device. An older session is
// probed: when it lives, two machines have one identity.
func (h *Hub) register(c *wsconn.Conn, b *wire.HelloBody, dev Device, remote string) (*session, *wire.Refuse) {
	for range 4 {
		kind, refuse := verdict(dev, b)
		_, keeps := h.cfg.Backend.(EvidenceKeeper)
		evidence := dev.State == Quarantined && b.Epoch == dev.Epoch && b.Evidence && keeps
		if kind != "" {
			h.alarm(Alarm{Kind: kind, Device: dev.ID, Epoch: dev.Epoch, Ours: dev.Acked, Theirs: b.Last,
				Detail: refuse.Message, Remote: remote})
		}
		if refuse != nil && !evidence {
			return nil, refuse
		}
		s := newSession(h, c, b, dev, remote, evidence)
		h.mu.Lock()
		old := h.sessions[dev.ID]
		if old == nil && !h.closed {
			h.sessions[dev.ID] = s
		}
		closed := h.closed
		h.mu.Unlock()
		if !closed && old == nil {
			return s, nil
		}
		s.cancel(nil)
		if closed {
			return nil, h.busy()
		}
		ctx, cancel := context.WithTimeout(h.ctx, h.cfg.Timing.Probe)
		lives := old.conn.Probe(ctx)
		cancel()
		if lives {
			r := forked("two machines speak as this till")
			h.alarm(Alarm{Kind: AlarmTwins, Device: dev.ID, Epoch: dev.Epoch, Ours: dev.Acked, Theirs: b.Last,
				Detail: "connected from " + old.remote + " and " + remote, Remote: remote})
			old.refuse(r)
			return nil, r
		}
		// It is a leftover. What it has handed to the backend is finished
		// first; then look again at where the journal stands.
		old.conn.Close()
		select {
		case <-old.done:
		case <-time.After(h.cfg.Timing.Hello):
			return nil, &wire.Refuse{Code: wire.RefuseWait, AfterMS: h.cfg.Timing.Busy.Milliseconds()}
		}
		var err error
		if dev, err = h.device(dev.ID); err != nil {
			return nil, h.busy()
		}
	}
	return nil, &wire.Refuse{Code: wire.RefuseWait, AfterMS: h.cfg.Timing.Busy.Milliseconds()}
}

func (h *Hub) unregister(s *session) {
	h.mu.Lock()
	if h.sessions[s.dev.ID] == s {
		delete(h.sessions, s.dev.ID)
	}
	h.mu.Unlock()
}

func (h *Hub) alarm(a Alarm) {
	a.At = h.cfg.Now()
	h.cfg.Log.Warn("alarm", "kind", string(a.Kind), "device", a.Device, "epoch", a.Epoch,
		"ours_seq", a.Ours.Seq, "theirs_seq", a.Theirs.Seq, "detail", a.Detail, "remote", a.Remote)
	ctx, cancel := context.WithTimeout(h.ctx, h.cfg.Timing.Hello)
	defer cancel()
	if err := h.cfg.Backend.Alarm(ctx, a); err != nil {
		h.cfg.Log.Error("store alarm", "device", a.Device, "error", err)
	}
	if a.Kind.Stop() {
		// Whoever speaks as this till right now may be the wrong one.
		h.Drop(a.Device, wire.Refuse{Code: wire.RefuseFork, Message: a.Detail})
	}
}
