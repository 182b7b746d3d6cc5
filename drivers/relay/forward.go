package relay

import (
	"context"
	"time"
)

// forward is the way from till to printer. It alone writes to the printer, so
// that nothing gets between the bytes it has decided on.
func (r *Relay) forward(ctx context.Context) {
	f := &forwarder{r: r, ctx: ctx, timer: time.NewTimer(time.Hour)}
	defer f.timer.Stop()
	for ctx.Err() == nil {
		f.step()
	}
}

type forwarder struct {
	r     *Relay
	ctx   context.Context
	timer *time.Timer
	pend  []byte // not yet sent on
	at    uint64 // place of pend[0] in all the till ever sent
	marks []mark // when the bytes of pend came
	ends  []chan struct{}
}

type mark struct {
	at   uint64
	when time.Time
}

// came tells when pend[0] came.
func (f *forwarder) came() time.Time {
	for len(f.marks) > 1 && f.marks[1].at <= f.at {
		f.marks = f.marks[1:]
	}
	if len(f.marks) == 0 {
		return time.Now()
	}
	return f.marks[0].when
}

func (f *forwarder) take(c chunk) {
	if c.end != nil {
		f.ends = append(f.ends, c.end)
		return
	}
	if len(f.pend) == 0 {
		f.at, f.marks = c.at, f.marks[:0]
	}
	f.pend = append(f.pend, c.b...)
	f.marks = append(f.marks, mark{c.at, c.when})
}

// more takes all that waits without waiting itself.
func (f *forwarder) more() {
	for {
		select {
		case c := <-f.r.chunks:
			f.take(c)
		default:
			return
		}
	}
}

// send sends the first n bytes on.
func (f *forwarder) send(n int) {
	if n <= 0 {
		return
	}
	f.r.toPrinter(f.ctx, f.pend[:n])
	f.pend = f.pend[n:]
	f.at += uint64(n)
	if len(f.pend) == 0 {
		f.pend = nil
	}
}

// step sends on what may go, then waits for what can change that.
func (f *forwarder) step() {
	want := f.r.wants()
	free, size := find(f.pend, want)
	f.send(free)
	switch {
	case size > 0:
		f.hold(size)
		return
	case len(f.pend) == 0 && len(f.ends) > 0:
		for _, e := range f.ends {
			close(e)
		}
		f.ends = nil
	}
	var late <-chan time.Time
	if len(f.pend) > 0 {
		// It may become something an agent wants to be asked about, but it does
		// not wait for that longer than for an agent.
		left := f.r.c.Hold - time.Since(f.came())
		if left <= 0 || len(f.ends) > 0 {
			f.send(1)
			return
		}
		f.timer.Reset(left)
		late = f.timer.C
	}
	select {
	case c := <-f.r.chunks:
		f.take(c)
		f.more()
	case <-late:
		f.send(1)
	case <-f.r.words: // of nothing that is held
	case <-f.r.nudge:
	case <-f.ctx.Done():
	}
}

// hold asks the agent about the command at pend[0], whose pattern has size
// bytes.
func (f *forwarder) hold(size int) {
	s := f.r.agent()
	if s == nil {
		f.send(size)
		return
	}
	since := f.came()
	for {
		at := f.at
		f.r.back.holding(at)
		s.send(encode(kindHeld, held{at}))
		w, why := f.ask(s, at, since)
		if f.ctx.Err() != nil {
			return
		}
		if w.Pass != nil {
			f.r.back.released()
		}
		if w.Pass != nil {
			if !f.passUntil(*w.Pass, size) {
				s.send(encode(kindReleased, Released{at, "timer"}))
				return
			}
			// And ask again, at the end of the command.
			since, size = time.Now(), 0
			continue
		}
		if w.Script != nil {
			d := f.run(w.Script)
			d.At = at
			s.send(encode(kindDone, d))
		}
		f.r.back.released()
		f.send(size)
		s.send(encode(kindReleased, Released{at, why}))
		return
	}
}

// ask waits for the agent's word on what is held, as long as it may.
func (f *forwarder) ask(s *session, at uint64, since time.Time) (reply, string) {
	f.timer.Reset(max(0, f.r.c.Hold-time.Since(since)))
	for {
		select {
		case w := <-f.r.words:
			if w.s == s && w.At == at {
				return w.reply, "agent"
			}
		case c := <-f.r.chunks:
			f.take(c)
		case <-f.timer.C:
			return reply{}, "timer"
		case <-f.r.nudge:
			if f.r.agent() != s {
				return reply{}, "gone"
			}
		case <-f.ctx.Done():
			return reply{}, "gone"
		}
	}
}

// passUntil sends everything on up to and with a byte, as it comes. false: it
// did not come.
func (f *forwarder) passUntil(last byte, size int) bool {
	from := size // the byte is looked for behind the pattern
	give := time.NewTimer(2 * time.Second)
	defer give.Stop()
	for {
		for i := from; i < len(f.pend); i++ {
			if f.pend[i] == last {
				f.send(i + 1)
				return true
			}
		}
		f.send(len(f.pend))
		from = 0
		select {
		case c := <-f.r.chunks:
			f.take(c)
		case <-give.C: // half a command and then nothing
			return false
		case <-f.ctx.Done():
			return false
		}
	}
}

// run does a script. It depends on nobody but the printer.
func (f *forwarder) run(s *Script) Done {
	limit := s.Limit
	if limit == 0 {
		limit = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(f.ctx, limit)
	defer cancel()
	b := &f.r.back
	b.begin(s)
	defer b.end()
	for i, st := range s.Steps {
		if len(st.Send) > 0 && !f.r.toPrinterScript(f.ctx, st.Send) {
			return Done{Steps: i}
		}
		if st.Take == nil {
			continue
		}
		wait := st.Wait
		if wait == 0 {
			wait = time.Second
		}
		got, ok := b.await(ctx, *st.Take, wait)
		if ok && st.Want != nil {
			ok, _ = st.Want.fits(got)
		}
		if !ok {
			if got == nil {
				b.owe(*st.Take) // it may still come
			}
			f.r.toPrinterScript(f.ctx, st.Bail)
			return Done{Steps: i}
		}
	}
	return Done{Steps: len(s.Steps), OK: true}
}

// toPrinterScript writes bytes of the agent; lost ones are not the till's.
func (r *Relay) toPrinterScript(ctx context.Context, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	r.mu.Lock()
	port := r.port
	r.mu.Unlock()
	if port == nil {
		return false
	}
	_, err := port.Write(ctx, b)
	return err == nil
}
