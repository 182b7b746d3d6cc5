package keeper

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

var (
	// ErrNone is returned when there is no other till to ask: no keeper, or
	// this till is it.
	ErrNone = errors.New("no other till keeps leases for this store")
	// ErrSilent is returned when the keeper does not answer.
	ErrSilent = errors.New("the till that keeps this store's leases does not answer")
)

// Config of a Store. Fields without a note are required.
type Config struct {
	Device string
	Key    ed25519.PrivateKey
	Listen string // address for the other tills; port 0 takes a free one
	// Peers are addresses to look for tills at, besides those that are found in
	// the network. Optional.
	Peers []string
	// Discover looks for the tills of the store by multicast.
	Discover bool
	Roster   func() *wire.StoreRoster // nil inside: not known yet
	Host     Host
	// Pending gives what another till must still be told: movements after seq,
	// and voids for the keeper. Told removes a void.
	Pending func(device string, after uint64) (wire.StoreMoves, []wire.KeeperVoid, error)
	Told    func(hold string) error
	Budget  time.Duration // of one question of a sale; 150 ms when zero
	Every   time.Duration // of looking for the others; 2 s when zero
	Log     *slog.Logger  // optional
}

// Store is this till among the tills of its store. Run does the work; the
// other methods may be called from anywhere.
type Store struct {
	cfg      Config
	tls      *tls.Config
	listener net.Listener
	kick     chan struct{}

	mu    sync.Mutex
	peers map[string]*other // by device
	found map[string]bool   // addresses heard of in the network
}

// other is another till of the store.
type other struct {
	address string // where it answered last; empty: not found
	client  *http.Client
	told    uint64 // its journal has our movements up to here
	epoch   uint32 // ours, when it was told
}

// New listens. Close comes with the end of Run.
func New(cfg Config) (*Store, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Budget == 0 {
		cfg.Budget = 150 * time.Millisecond
	}
	if cfg.Every == 0 {
		cfg.Every = 2 * time.Second
	}
	cert, err := certificate(cfg.Key)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, tls: settings(cert, cfg.Roster, cfg.Device), kick: make(chan struct{}, 1), peers: map[string]*other{}, found: map[string]bool{}}
	if s.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen for the tills of the store on %s: %w", cfg.Listen, err)
	}
	return s, nil
}

// Addr is where this till listens for the others.
func (s *Store) Addr() net.Addr { return s.listener.Addr() }

// Close stops listening; for a Store that never ran.
func (s *Store) Close() error { return s.listener.Close() }

// Run answers the other tills, finds them and tells them what is new, until
// ctx is done.
func (s *Store) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if s.cfg.Discover {
		wg.Go(func() {
			if err := s.discover(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Log.Warn("tills of the store are not looked for in the network", "error", err)
			}
		})
	}
	wg.Go(func() { s.tell(ctx) })
	return s.serve(ctx, s.listener)
}

// Moved says that there is something new to tell.
func (s *Store) Moved() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// tell keeps in touch with every other till.
func (s *Store) tell(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		r := s.cfg.Roster()
		for _, d := range s.Reachable() {
			if r.Till(d) == nil {
				s.lost(d, ErrStranger) // revoked, or enrolled anew
			}
		}
		if r != nil {
			for i := range r.Tills {
				if t := &r.Tills[i]; t.Device != s.cfg.Device {
					s.tellOne(ctx, t.Device, t.Device == r.Keeper)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.kick:
		}
	}
}

// tellOne finds a till when needed, and hands it what it does not have.
func (s *Store) tellOne(ctx context.Context, device string, keeper bool) {
	if !s.reach(ctx, device) {
		return
	}
	for {
		s.mu.Lock()
		p := s.peers[device]
		after, epoch := p.told, p.epoch
		s.mu.Unlock()
		moves, voids, err := s.cfg.Pending(device, after)
		if err == nil && moves.Epoch != epoch && after > 0 {
			moves, voids, err = s.cfg.Pending(device, 0)
		}
		if err != nil {
			s.cfg.Log.Error("movements for the other tills", "error", err)
			return
		}
		if keeper {
			for _, v := range voids {
				if err := s.call(ctx, device, "void", v, nil, time.Second); err != nil {
					s.lost(device, err)
					return
				}
				if err := s.cfg.Told(v.Hold); err != nil {
					s.cfg.Log.Error("void told to the keeper", "error", err)
					return
				}
			}
		}
		if len(moves.Moves) == 0 {
			return
		}
		if err := s.call(ctx, device, "moves", moves, nil, 2*time.Second); err != nil {
			s.lost(device, err)
			return
		}
		s.mu.Lock()
		p.told, p.epoch = moves.Moves[len(moves.Moves)-1].Seq, moves.Epoch
		s.mu.Unlock()
	}
}

// reach tells whether a till answers, looking for it where it may be.
func (s *Store) reach(ctx context.Context, device string) bool {
	s.mu.Lock()
	p := s.peers[device]
	if p == nil {
		p = &other{}
		s.peers[device] = p
	}
	known := p.address != ""
	tries := slices.Clone(s.cfg.Peers)
	for a := range s.found {
		tries = append(tries, a)
	}
	s.mu.Unlock()
	if known {
		if err := s.call(ctx, device, "moves", wire.StoreMoves{}, nil, time.Second); err == nil {
			return true
		} else {
			s.lost(device, err)
		}
	}
	for _, a := range tries {
		if s.try(ctx, device, a) {
			return true
		}
	}
	return false
}

// try looks whether a till is at an address.
func (s *Store) try(ctx context.Context, device, address string) bool {
	r := s.cfg.Roster()
	want := r.Till(device)
	if want == nil {
		return false
	}
	cfg := s.tls.Clone()
	verify := cfg.VerifyConnection
	cfg.VerifyConnection = func(c tls.ConnectionState) error {
		if err := verify(c); err != nil {
			return err
		}
		if p, err := peer(&c, s.cfg.Roster(), s.cfg.Device); err != nil || p.Device != device {
			return ErrStranger
		}
		return nil
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, MaxIdleConnsPerHost: 4, MaxConnsPerHost: 16, IdleConnTimeout: time.Minute,
		DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}}
	s.mu.Lock()
	p := s.peers[device]
	old, oldClient := p.address, p.client
	p.address, p.client = address, client
	s.mu.Unlock()
	if err := s.call(ctx, device, "moves", wire.StoreMoves{}, nil, time.Second); err != nil {
		client.CloseIdleConnections()
		s.mu.Lock()
		p.address, p.client = old, oldClient
		s.mu.Unlock()
		return false
	}
	s.cfg.Log.Info("till of this store found", "device", device, "till", want.Till, "address", address)
	return true
}

// lost forgets where a till was.
func (s *Store) lost(device string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.peers[device]; p != nil && p.address != "" {
		s.cfg.Log.Info("till of this store lost", "device", device, "error", why)
		p.client.CloseIdleConnections()
		p.address, p.client, p.told = "", nil, 0
	}
}

// Reachable lists the other tills that answer.
func (s *Store) Reachable() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for d, p := range s.peers {
		if p.address != "" {
			all = append(all, d)
		}
	}
	slices.Sort(all)
	return all
}

// call asks another till.
func (s *Store) call(ctx context.Context, device, what string, q, a any, budget time.Duration) error {
	s.mu.Lock()
	p := s.peers[device]
	var address string
	var client *http.Client
	if p != nil {
		address, client = p.address, p.client
	}
	s.mu.Unlock()
	if client == nil {
		return ErrSilent
	}
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/v1/store/"+what, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if _, port, err := net.SplitHostPort(s.listener.Addr().String()); err == nil {
		req.Header.Set(portHeader, port)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, wire.MostStoreMessage))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return refused(resp.StatusCode)
	}
	if a == nil {
		return nil
	}
	return json.Unmarshal(b, a)
}

// portHeader tells where the caller listens itself, so that who was found
// finds back.
const portHeader = "Tillside-Port"

// keeper is the till to ask; ErrNone when it is nobody else.
func (s *Store) keeper() (string, error) {
	r := s.cfg.Roster()
	if r == nil || r.Keeper == "" || r.Keeper == s.cfg.Device || r.Till(r.Keeper) == nil {
		return "", ErrNone
	}
	return r.Keeper, nil
}

// ask asks the keeper within the budget of a sale. One that did not answer is
// not asked again until it has been found anew, so that a customer waits for
// a dead till only once.
func (s *Store) ask(ctx context.Context, what string, q, a any) (string, error) {
	k, err := s.keeper()
	if err != nil {
		return "", err
	}
	if err := s.call(ctx, k, what, q, a, s.cfg.Budget); err != nil {
		if !errors.Is(err, errRefused) && !errors.Is(err, ErrSilent) {
			s.lost(k, err)
		}
		return k, fmt.Errorf("%w: %w", ErrSilent, err)
	}
	return k, nil
}

// Rest asks the keeper what a member may spend, by wallet.
func (s *Store) Rest(ctx context.Context, member string) (map[string]string, error) {
	var a wire.KeeperAnswer
	if _, err := s.ask(ctx, "rest", wire.KeeperAsk{Member: member}, &a); err != nil {
		return nil, err
	}
	return a.Rest, nil
}

// Hold asks the keeper to hold points. After ErrSilent it may have done so:
// the caller must void the hold. The voucher is checked against the keeper's
// key and against the question.
func (s *Store) Hold(ctx context.Context, q wire.KeeperHold) (*wire.KeeperAnswer, error) {
	var a wire.KeeperAnswer
	k, err := s.ask(ctx, "hold", q, &a)
	if err != nil {
		return nil, err
	}
	if v := a.Voucher; v != nil {
		t := s.cfg.Roster().Till(k)
		if t == nil || v.Verify(t.Key) != nil || v.Keeper != k || v.Epoch != t.Epoch || v.For != s.cfg.Device || v.Hold != q.Hold || v.Receipt != q.Receipt ||
			v.Member != q.Member || v.Wallet != q.Wallet || v.Points != q.Points {
			return nil, fmt.Errorf("%w: its voucher is for something else", ErrSilent)
		}
	}
	return &a, nil
}

// Keeper is the device that Hold would ask; empty when it is nobody else.
func (s *Store) Keeper() string {
	k, _ := s.keeper()
	return k
}

// discover and its messages are in mdns.go.
func (s *Store) heard(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.found[address] && len(s.found) < wire.MostStoreTills {
		s.found[address] = true
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
}
