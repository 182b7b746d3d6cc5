package central

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/authority"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/httpapi"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/wire"
)

// AddressFile holds the real listen address while the server runs.
const AddressFile = "address"

// Config of a Server. Only Dir is required.
type Config struct {
	Dir     string         // data folder
	Listen  string         // address; "127.0.0.1:0" when empty
	Socket  net.Listener   // listens already; Listen is not used then
	URL     string         // how tills reach us; empty: as they did
	Hosts   []string       // names browsers may use; empty: any
	Zone    *time.Location // of the shops; time.Local when nil
	SignKey string         // file of the key that signs rulebooks; keys/rulebook.key in Dir when empty
	Cert    string         // PEM files; both or none
	CertKey string
	// OwnTLS, without Cert, is TLS by an authority of our own, in the folder tls
	// of Dir.
	OwnTLS  bool
	Version string
	Log     *slog.Logger
	Now     func() time.Time
	Timing  hub.Timing
	Leases  LeaseTiming // DefaultLeaseTiming when zero
	// Poll is how often other processes' changes are looked for; one second
	// when zero.
	Poll time.Duration
}

// Server is a centre at work. Open acquires everything, Close gives it back.
type Server struct {
	cfg      Config
	log      *slog.Logger
	db       *db.DB
	ledger   *ledger.Ledger
	members  *members.Room
	ingester *ledger.Ingester
	hub      *hub.Hub
	http     *http.Server
	listener net.Listener
	engine   *Engine
	tls      bool
	own      *authority.Authority // nil: TLS by other means, or none
	lent     atomic.Int64         // of the feed: up to where leases follow the members
	gaps     map[wire.Lane][]gap  // set in Open, never changed

	// Password of the first operator, when this start made one. It is not
	// kept anywhere else.
	Password string
	// KeysMade tells that this start made the keys of rulebooks and programs.
	KeysMade bool

	cancel context.CancelFunc
	wg     sync.WaitGroup
	failed chan error
}

// Open opens the database, listens, and serves. ctx bounds the opening only.
func Open(ctx context.Context, cfg Config) (_ *Server, err error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Leases == (LeaseTiming{}) {
		cfg.Leases = DefaultLeaseTiming()
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	s := &Server{cfg: cfg, log: cfg.Log, failed: make(chan error, 1), tls: cfg.Cert != "" || cfg.OwnTLS}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if s.db, err = db.Open(ctx, cfg.Dir); err != nil {
		return nil, err
	}
	s.engine = NewEngine(s.db)
	s.ledger = &ledger.Ledger{Now: cfg.Now, Zone: cfg.Zone, Rules: s.engine}
	s.members = &members.Room{Ledger: s.ledger, Now: cfg.Now}
	if cfg.SignKey == "" {
		cfg.SignKey = KeyFile(cfg.Dir)
	}
	err = s.db.Write(ctx, func(tx *db.Tx) (err error) {
		if _, err = s.members.LookupKey(tx); err != nil {
			return err
		}
		if s.KeysMade, err = keys.First(tx, keys.FilesIn(cfg.SignKey), cfg.Now()); err != nil {
			return err
		}
		if s.gaps, err = jump(tx, cfg.Now()); err != nil {
			return err
		}
		// A copy that was put back may hold people who were erased since.
		if n, err := s.members.EraseAgain(tx, ErasedFile(cfg.Dir)); err != nil {
			return err
		} else if n > 0 {
			s.log.Warn("members of a restored copy erased again", "members", n)
		}
		s.Password, err = access.First(tx, cfg.Now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("prepare database: %w", err)
	}
	s.ingester = ledger.NewIngester(s.ledger, s.db)
	if s.hub, err = hub.New(hub.Config{Backend: &backend{s}, Central: cfg.Version, Log: cfg.Log, Timing: cfg.Timing, Now: cfg.Now}); err != nil {
		return nil, err
	}
	if cfg.OwnTLS && cfg.Cert == "" {
		if s.own, err = Authority(cfg.Dir, cfg.Listen, cfg.URL, cfg.Hosts, cfg.Now); err != nil {
			return nil, err
		}
		if _, err = s.own.Server(); err != nil { // told now, not to the first till
			return nil, err
		}
	}
	s.members.Online = s.hub.Online
	handler, err := httpapi.New(httpapi.Config{
		Authority: s.own, Erased: ErasedFile(cfg.Dir),
		DB: s.db, Ledger: s.ledger, Members: s.members, Sync: s.hub, Online: s.hub.Online, Drop: s.drop, Explain: s.engine.Explain,
		URL: cfg.URL, Hosts: cfg.Hosts, TLS: s.tls, Version: cfg.Version, Log: cfg.Log, Now: cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	if s.listener = cfg.Socket; s.listener == nil {
		if s.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	s.http = &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	switch {
	case s.own != nil:
		s.listener = tls.NewListener(s.listener, s.own.TLS())
	case s.tls:
		cert, err := tls.LoadX509KeyPair(cfg.Cert, cfg.CertKey)
		if err != nil {
			return nil, fmt.Errorf("read certificate: %w", err)
		}
		// http/1.1 only: a session is a websocket, which needs the connection.
		s.listener = tls.NewListener(s.listener, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}})
	}
	if err := writeAddress(filepath.Join(cfg.Dir, AddressFile), s.Address()); err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.wg.Go(func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve: %w", err)
		}
	})
	s.wg.Go(func() { s.watch(run) })
	s.wg.Go(func() { s.days(run) })
	s.wg.Go(func() { s.quotas(run) })
	s.wg.Go(func() { s.lend(run) })
	if host, _, err := net.SplitHostPort(s.Address()); err == nil && !s.tls && !net.ParseIP(host).IsLoopback() {
		s.log.Warn("listening without a certificate beyond this machine", "address", s.Address())
	}
	s.log.Info("centre is up", "address", s.Address(), "version", cfg.Version)
	return s, nil
}

// Authority opens the centre's own authority; it is made at the first call. The
// commands use it to complete one-time codes.
func Authority(dir, listen, address string, hosts []string, now func() time.Time) (*authority.Authority, error) {
	if u, err := url.Parse(address); err == nil && u.Hostname() != "" {
		hosts = append([]string{u.Hostname()}, hosts...)
	}
	return authority.Open(filepath.Join(dir, "tls"), authority.Names(listen, hosts...), now)
}

// CAFile is the certificate of our own authority; empty when there is none.
func (s *Server) CAFile() string {
	if s.own == nil {
		return ""
	}
	return s.own.File()
}

// ErasedFile lists who was erased, beside the database.
func ErasedFile(dir string) string { return filepath.Join(dir, "erased.log") }

// KeyFile is where the signing key of rulebooks lies when nothing else is said.
func KeyFile(dir string) string { return filepath.Join(dir, "keys", "rulebook.key") }

// writeAddress replaces the file whole, so that a reader never sees half.
func writeAddress(file, address string) error {
	tmp := file + ".new"
	if err := os.WriteFile(tmp, []byte(address+"\n"), 0o644); err != nil {
		return fmt.Errorf("write address: %w", err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("write address: %w", err)
	}
	return nil
}

// Address is the real listen address, host:port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// URL is where a browser on this machine finds the pages.
func (s *Server) URL() string {
	if s.tls {
		return "https://" + s.Address()
	}
	return "http://" + s.Address()
}

// Failed gets an error when serving ends by itself.
func (s *Server) Failed() <-chan error { return s.failed }

// DB is the open database, for commands and tests in this process.
func (s *Server) DB() *db.DB { return s.db }

// Online lists the devices that are connected now.
func (s *Server) Online() []string { return s.hub.Online() }

// Lent tells up to which number of the feed leases follow what members have,
// for those who must wait for it.
func (s *Server) Lent() int64 { return s.lent.Load() }

// Members is the member room.
func (s *Server) Members() *members.Room { return s.members }

// Ledger is the ledger.
func (s *Server) Ledger() *ledger.Ledger { return s.ledger }

// Close ends all sessions, finishes what was begun and closes the database.
// When ctx ends first, connections are cut; nothing acknowledged is lost.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	err = errors.Join(err, s.hub.Close(ctx))
	s.cancel()
	s.wg.Wait()
	os.Remove(filepath.Join(s.cfg.Dir, AddressFile))
	s.ingester.Close()
	return errors.Join(err, s.db.Close())
}

// release gives back what a failed Open had acquired.
func (s *Server) release() {
	if s.listener != nil {
		s.listener.Close()
	}
	if s.hub != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = s.hub.Close(ctx)
		cancel()
	}
	if s.ingester != nil {
		s.ingester.Close()
	}
	if s.db != nil {
		s.db.Close()
	}
}
