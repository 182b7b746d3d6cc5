package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/internal/private"
	"github.com/tillside/tillside/agent/internal/rungroup"
	"github.com/tillside/tillside/agent/local"
	"github.com/tillside/tillside/agent/pages"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/agent/update"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/all"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/wire"
)

// Options are what an Agent is built from. Data in the settings must be set;
// the rest has defaults.
type Options struct {
	Settings configs.Agent
	Version  string
	Log      *slog.Logger
	// Registry of drivers; nil: all of them.
	Registry *drivers.Registry
	// Check examines a store file after an unclean stop, best in a child
	// process, since a very damaged file can end the process. nil: none.
	Check func(path string) error
	// Timing of the link; zero fields have the uplink's defaults.
	Timing uplink.Timing
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Built is when this program was built; a clock that stands before it is
	// wrong. Zero: not known.
	Built time.Time
	// Shelf holds programs that are newer than the installed one; nil: the program
	// stays as it is.
	Shelf *update.Shelf
	// Host is the machine as the agent sees it; zero fields: the real one.
	Host Host
}

// Host is what an agent uses of the machine it runs on, besides its disk and
// its clock. A simulation puts its own in, to be the machine for many agents.
type Host struct {
	Listen func(network, address string) (net.Listener, error)                  // the local API
	Dial   func(ctx context.Context, network, address string) (net.Conn, error) // the centre
	Boot   func() string                                                        // id of this run of the machine
	Up     func() time.Duration                                                 // how long this run lasts
	Random *rand.Rand                                                           // jitter of reconnecting; one goroutine's
}

func (h Host) orReal() Host {
	if h.Listen == nil {
		h.Listen = net.Listen
	}
	if h.Boot == nil {
		h.Boot = bootID
	}
	if h.Up == nil {
		h.Up = sinceBoot
	}
	return h
}

// Agent is one till at work.
type Agent struct {
	o        Options
	log      *slog.Logger
	dir      string
	id       *Identity // nil: not enrolled
	creds    *credentials
	journal  *store.Journal
	cache    *store.Cache
	rules    *rulebooks
	clock    *clockwork
	contact  *contact
	lan      storeLAN
	health   *health.Tracker
	devices  *deviceSet
	link     *link
	till     *till.Till
	listener net.Listener // nil: TCP is off
	socket   net.Listener // nil: none
	server   *http.Server
	served   chan struct{} // closed when the HTTP side has ended
	faults   chan wire.DeviceFault
	unclean  bool
	diskLow  atomic.Bool
	ballast  *store.Ballast
	diskFull atomic.Bool // the ballast is in use: nothing new is begun
	began    time.Time
	suspect  atomic.Bool // a store file has something in it that was not written
	forked   atomic.Bool
}

// Open acquires everything but the devices and the centre: data folder,
// stores, rulebook, address. It returns store.ErrInUse when another agent
// works on the folder.
func Open(o Options) (*Agent, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Registry == nil {
		o.Registry = all.Registry()
	}
	apart := o.Host.Listen != nil // a machine that is not this one
	o.Host = o.Host.orReal()
	if err := o.Settings.Check(); err != nil {
		return nil, err
	}
	if f := FileSettings(o.Settings.Files); o.Settings.Files.Folder != "" {
		if err := f.Check(); err != nil {
			return nil, err
		}
	}
	if err := checkPass(o.Registry, o.Settings.Passthrough); err != nil {
		return nil, err
	}
	a := &Agent{o: o, log: o.Log, dir: o.Settings.Data, health: &health.Tracker{Now: o.Now},
		served: make(chan struct{}), faults: make(chan wire.DeviceFault, 64)}
	if apart {
		a.o.Settings.API.Socket = configs.Off
	}
	err := a.open()
	if err != nil && store.IsFull(err) && a.ballast != nil {
		// Started on a full disk: what was kept back is for this.
		if gave, _ := a.ballast.Drop(); gave {
			_ = a.closeFiles()
			err = a.open()
		}
	}
	if err != nil {
		_ = a.closeFiles() // what was opened so far; the first error tells
		return nil, err
	}
	return a, nil
}

func (a *Agent) open() (err error) {
	if a.dir == "" {
		return errors.New("no data folder")
	}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	a.ballast = store.OpenBallast(a.dir)
	if free, err := freeBytes(a.dir); err == nil && !a.ballast.There() && free < store.BallastSize {
		a.diskFull.Store(true)
	}
	if a.id, err = LoadIdentity(a.dir); err != nil {
		return err
	}
	for _, name := range []string{IdentityFile, SecretFile} {
		// Written by a command, which had nothing to seal with, or before there was.
		if err := private.Reseal(filepath.Join(a.dir, name)); err != nil {
			a.log.Warn("not sealed", "file", name, "error", err)
		}
	}
	if a.creds, err = newCredentials(a.dir, a.o.Settings.Centre.CAFile, a.id); err != nil {
		return err
	}
	if a.devices, err = buildDevices(a.o.Registry, a.o.Settings.Devices, a.log, a.o.Now); err != nil {
		return err
	}
	if err := a.openStores(); err != nil {
		return err
	}
	if err := a.buildTill(); err != nil {
		return err
	}
	if err := a.openSocket(); err != nil {
		return err
	}
	if a.o.Settings.API.Listen == configs.Off {
		return nil
	}
	if a.listener, err = listen(a.o.Host, a.o.Settings.API.Listen); err != nil {
		return err
	}
	a.till.SetAddress(a.listener.Addr())
	err = private.WriteFile(filepath.Join(a.dir, AddressFile), []byte(a.listener.Addr().String()+"\n"))
	if err != nil && store.IsFull(err) && !a.ballast.There() {
		a.log.Warn("commands will not find this agent", "error", err) // the cash software does
		err = nil
	}
	if err != nil {
		return fmt.Errorf("write address: %w", err)
	}
	return nil
}

// listen listens on loopback; "localhost" means its IPv4 address, so that the
// address is the same on every machine.
func listen(h Host, addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	l, err := h.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w (another agent, or set api.listen to a free port)", addr, err)
	}
	return l, nil
}

// openStores opens journal and cache, examining them first when the agent did
// not stop cleanly.
func (a *Agent) openStores() error {
	_, err := os.Stat(filepath.Join(a.dir, runningFile))
	a.unclean = err == nil
	// Before the files are opened: were one so damaged that it ends the program,
	// the next start knows to examine them.
	err = os.WriteFile(filepath.Join(a.dir, runningFile), nil, 0o600)
	if err != nil && !(store.IsFull(err) && !a.ballast.There()) {
		return fmt.Errorf("data folder: %w", err)
	}
	var check func(string) error
	if a.unclean {
		check = a.o.Check
	}
	a.clock = &clockwork{now: a.o.Now, built: a.o.Built, up: a.o.Host.Up, boot: a.o.Host.Boot()}
	ring, err := openKeyring(a.dir)
	if err != nil {
		a.log.Error("trust not loaded", "error", err)
		a.health.Raise(health.RootRefused, "", err.Error()+"; enrol the till again")
	}
	a.rules = &rulebooks{now: a.clock.trusted, keys: ring, fell: make(chan brokenRules, 4)}
	a.clock.bundle = a.rules.number
	var id outbox.Identity
	if a.id != nil {
		id = a.id.Outbox()
		a.rules.store = a.id.Store
	}
	o := store.Options{Identity: id, Stamp: a.clock.stamp, Check: check, Now: a.o.Now, Full: a.outOfSpace, Renew: a.newEpoch, Damaged: a.damaged, Share: a.o.Settings.Store.Listen != ""}
	if a.journal, err = store.OpenJournal(a.dir, o); err != nil {
		return err
	}
	if a.cache, err = store.OpenCache(a.dir, check); err != nil {
		return err
	}
	a.cache.Damaged = a.cacheDamaged
	if a.unclean { // said now: the file may have been another agent's, at work
		a.log.Info("the last stop was not clean")
	}
	if a.journal.Aside != "" {
		a.log.Error("damaged journal set aside", "file", filepath.Base(a.journal.Aside))
		a.health.Raise(health.JournalAside, "", filepath.Base(a.journal.Aside)+"; keep the file, enrol the till again")
	}
	if a.cache.Rebuilt != "" {
		a.log.Warn("damaged cache set aside", "file", filepath.Base(a.cache.Rebuilt))
		a.health.Raise(health.CacheRebuilt, "", filepath.Base(a.cache.Rebuilt))
	}
	reason, err := forked(a.journal)
	if err != nil {
		return err
	}
	a.forked.Store(reason != "")
	if err := a.clock.load(a.journal); err != nil {
		return err
	}
	a.contact = &contact{now: a.o.Now, online: func() (bool, time.Time) {
		if a.link == nil {
			return false, time.Time{}
		}
		return a.link.contact()
	}}
	if err := errors.Join(a.contact.load(a.journal), a.lan.load(a.journal)); err != nil {
		return err
	}
	if err := a.rules.load(a.cache); err != nil {
		a.log.Error("rulebook not loaded", "error", err)
	}
	return nil
}

// newEpoch makes this till another incarnation of its device. Sequence numbers
// are never used twice: a journal begun anew is another one, which the centre
// takes after the till is enrolled anew.
func (a *Agent) newEpoch() (outbox.Identity, error) {
	a.id.Epoch++
	if err := a.id.save(a.dir); err != nil {
		return outbox.Identity{}, fmt.Errorf("begin a new epoch: %w", err)
	}
	return a.id.Outbox(), nil
}

func (a *Agent) buildTill() error {
	key, err := secret(a.dir)
	if err != nil {
		return err
	}
	s := a.o.Settings
	a.link = &link{budget: time.Duration(s.Centre.Budget), now: a.o.Now, since: a.o.Now(), queue: a.queue}
	c := till.Config{Version: a.o.Version, Language: s.Language, PhonePrefix: s.PhonePrefix, TokenKey: key, Header: s.Slip.Header, Idle: s.Display.Idle, WholeSlip: s.Slip.Content == "receipt",
		Practice: s.API.Practice == "on", MaxBody: s.API.MaxBody, Origins: s.API.Origins, Users: s.API.Users, Patience: time.Duration(s.Slip.Patience),
		Journal: a.journal, Cache: a.cache, Rules: a.rules.Rules, Barred: a.barred, Contact: a.contact.at, Acked: a.acked, Trusted: a.clock.trusted, Closed: a.closed, Link: a.link, Devices: a.devices, Programs: till.OpenPrograms(a.dir),
		Health: a.health, Log: a.log, Now: a.o.Now, Time: a.clock.best}
	if c.Tills, err = a.openStoreLAN(); err != nil {
		return err
	}
	if a.id != nil {
		c.Store, c.Till, c.Device, c.LookupKey = a.id.Store, a.id.Till, a.id.Device, a.id.LookupKey
	}
	a.till, err = till.New(c)
	return err
}

// barred tells why no points may be spent: a clock nobody can trust, a journal
// that is not the centre's any more, a disk without room for the record.
func (a *Agent) barred() string {
	switch {
	case a.forked.Load():
		return "forked"
	case a.diskLow.Load(), a.diskFull.Load():
		return "disk_low"
	case a.clock.trusted().IsZero():
		return till.ClockUntrusted
	}
	return ""
}

// closed tells why no receipt is begun: a disk that is full but for what was
// kept back for those that are open.
func (a *Agent) closed() string {
	if a.diskFull.Load() {
		return "disk_full"
	}
	return ""
}

// acked is the last record that the centre has.
func (a *Agent) acked() uint64 {
	box := a.journal.Box()
	if box == nil {
		return 0
	}
	h, err := box.Acked()
	if err != nil {
		return 0
	}
	return h.Seq
}

// queue tells what waits for the centre.
func (a *Agent) queue() (uint64, int, time.Time) {
	box := a.journal.Box()
	if box == nil {
		return 0, 0, time.Time{}
	}
	st, err := box.Stats()
	if err != nil {
		return 0, 0, time.Time{}
	}
	return st.Queued, st.Parked, st.Oldest
}

// Addr is where the agent listens: TCP, or the socket when TCP is off.
func (a *Agent) Addr() net.Addr {
	if a.listener == nil {
		return a.socket.Addr()
	}
	return a.listener.Addr()
}

// Till is the counter, for tests.
func (a *Agent) Till() *till.Till { return a.till }

// Online tells whether the centre would be asked now.
func (a *Agent) Online() bool { return a.link.Online() }

// Queued is how many records the centre does not have yet.
func (a *Agent) Queued() uint64 { n, _, _ := a.queue(); return n }

// Cursor tells how far a lane of the centre was applied.
func (a *Agent) Cursor(l wire.Lane) (uint64, error) { return a.cache.Cursor(string(l)) }

// Identity tells who this till is; nil when it is not enrolled.
func (a *Agent) Identity() *Identity { return a.id }

// Run works until ctx is done or a part fails. See the package comment for
// the order in which it stops.
func (a *Agent) Run(ctx context.Context) error {
	a.began = a.o.Now()
	if err := a.till.Start(ctx); err != nil {
		return fmt.Errorf("settle what was left open: %w", err)
	}
	deviceCtx, stopDevices := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDevices()
	if err := a.devices.open(deviceCtx); err != nil {
		return fmt.Errorf("open devices: %w", err)
	}
	defer a.devices.close()

	a.health.Set(a.id == nil, health.NotEnrolled, "", "tillside enrol --server URL --code CODE")
	a.health.Set(a.rules.number() == 0, health.NoRulebook, "", "")
	a.health.Watch(a.till.TellHealth)

	along, err := a.passthrough()
	if err != nil {
		return err
	}
	g := rungroup.Group{Log: a.log, Patience: 15 * time.Second}
	g.Add("http", a.serve)
	g.Add("devices", func(ctx context.Context) error {
		return a.devices.watch(ctx, a.till.TellDevice, a.fault, a.health)
	})
	g.Add("display", a.till.RunDisplay)
	g.Add("slips", a.till.PrintSlips)
	g.Add("housekeeping", a.housekeeping)
	for _, d := range a.devices.list {
		if r, ok := d.dev.(drivers.Reader); ok {
			g.Add("reader "+d.name, func(ctx context.Context) error {
				if err := a.till.ReadCards(ctx, r); err != nil {
					return err
				}
				<-ctx.Done() // the reader was closed under us
				return ctx.Err()
			})
		}
	}
	if f := a.files(); f != nil {
		g.Add("files", f.Run)
	}
	if along != nil {
		g.Add("passthrough", along.Run)
	}
	if a.id != nil {
		g.Add("link", a.runLink)
		if a.lan.store != nil {
			g.Add("store", a.runStoreLAN)
		}
		g.Add("certificate", a.keepCertificate)
		if a.o.Shelf != nil {
			g.Add("update", a.updates)
		}
	} else {
		g.Add("enrolment", a.enrolLater)
	}
	a.log.Info("agent runs", "version", a.o.Version, "address", a.Addr().String(), "till", a.name(), "rulebook", a.rules.number())
	err = g.Run(ctx)
	a.log.Info("agent stops", "error", err)
	return err
}

func (a *Agent) name() string {
	if a.id == nil {
		return "not enrolled"
	}
	return a.id.Store + "/" + a.id.Till
}

// serve runs the HTTP side until ctx is done, then finishes calls in flight.
func (a *Agent) serve(ctx context.Context) error {
	defer close(a.served)
	a.server = &http.Server{Handler: a.till.Handler(pages.Handler()), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ConnContext: local.Context, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	var on []net.Listener
	for _, l := range []net.Listener{a.listener, a.socket} {
		if l != nil {
			on = append(on, l)
		}
	}
	ended := make(chan error, len(on))
	for _, l := range on {
		go func() { ended <- a.server.Serve(l) }()
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	a.till.Close()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := a.server.Shutdown(grace); err != nil {
		a.server.Close()
	}
	for range on {
		<-ended
	}
	return ctx.Err()
}

// flushPatience is how long a stop waits for the centre to take what is left.
const flushPatience = 2 * time.Second

// runLink keeps the session with the centre, and makes a new one when the
// journal had to be opened again.
func (a *Agent) runLink(ctx context.Context) error {
	for {
		box := a.journal.Box()
		if box == nil {
			if !pause(ctx, time.Second) {
				return ctx.Err()
			}
			continue
		}
		if err := a.session(ctx, box); ctx.Err() != nil || err != nil {
			return err
		}
	}
}

func (a *Agent) session(ctx context.Context, box *outbox.Box) error {
	url := a.id.SyncURL
	if a.o.Settings.Centre.URL != "" {
		url = a.o.Settings.Centre.URL
	}
	apply := &applier{dir: a.dir, log: a.log, journal: a.journal, cache: a.cache, rules: a.rules, health: a.health, onFork: func() { a.forked.Store(true) }, onRoster: a.lan.current.Store}
	if err := loopbackOnly(url); err != nil { // the till sells; it only has no link
		a.log.Error("no link", "error", err)
		a.health.Raise(health.LinkRefused, "", err.Error())
		<-ctx.Done()
		return ctx.Err()
	}
	s, err := uplink.New(uplink.Config{URL: url, Key: a.id.Key(), Outbox: box, Applier: apply, Agent: a.o.Version, Boot: a.clock.boot,
		Bundle: a.rules.number, TLS: a.creds.client(), Dial: a.o.Host.Dial, Log: a.log, Timing: a.o.Timing, OnState: a.linkState, Now: a.o.Now, Random: a.o.Host.Random})
	if err != nil {
		return err
	}
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	a.link.set(s)
	a.clock.mu.Lock()
	a.clock.live = s.Clock
	a.clock.mu.Unlock()
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(inner) }() // its error is that of inner
	defer func() { stop(); <-done; a.link.set(nil) }()
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if a.journal.Box() != box {
				return nil
			}
		case <-ctx.Done():
			a.flush(s)
			return ctx.Err()
		}
	}
}

// flush waits, while the centre is there, until it has everything.
func (a *Agent) flush(s *uplink.Session) {
	<-a.served
	end := time.Now().Add(flushPatience)
	for s.State().Phase == uplink.Online && time.Now().Before(end) {
		if n, _, _ := a.queue(); n == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// linkState is called by the session at each change.
func (a *Agent) linkState(s uplink.State) {
	a.health.Set(s.Phase == uplink.Refused || s.Phase == uplink.Forked, health.LinkRefused, "", s.LastError)
	if s.Phase == uplink.Connecting {
		return
	}
	if a.link.phase(s.Phase) {
		st := a.link.Status()
		a.log.Info("link", "mode", st.Mode, "error", s.LastError)
		a.till.TellLink(st)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Close releases everything. After a Run that ended by its context the stop
// was clean.
func (a *Agent) Close() error {
	if a.socket != nil {
		a.socket.Close()
		if err := os.Remove(filepath.Join(a.dir, SocketFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.log.Warn("socket file", "error", err)
		}
	}
	if a.listener != nil {
		a.listener.Close() // Shutdown closed it already, or Run never ran
	}
	if err := os.Remove(filepath.Join(a.dir, AddressFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Warn("address file", "error", err)
	}
	saved := errors.Join(a.clock.save(a.journal), a.contact.save(a.journal, 0))
	err := errors.Join(saved, a.closeFiles())
	if err == nil && !a.suspect.Load() { // else the next start examines the files
		err = os.Remove(filepath.Join(a.dir, runningFile))
	}
	return err
}

func (a *Agent) closeFiles() error {
	var errs []error
	if a.journal != nil {
		errs = append(errs, a.journal.Close())
	}
	if a.cache != nil {
		errs = append(errs, a.cache.Close())
	}
	for _, l := range []net.Listener{a.listener, a.socket} {
		if l != nil {
			l.Close()
		}
	}
	if a.lan.store != nil {
		a.lan.store.Close()
	}
	return errors.Join(errs...)
}
