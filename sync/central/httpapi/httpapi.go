// Package httpapi is the centre's HTTP surface: what tills, browsers and
// monitoring may call, and the checks that come before any of it.
//
//	POST /v1/enrol        a new till with a one-time code
//	POST /v1/certificate  a till's certificate for another 90 days
//	GET  /v1/sync         the sessions of the tills (package hub)
//	GET  /healthz    200 while the database answers
//	GET  /metrics    figures for Prometheus, nothing about persons
//	/                pages for people (package console)
//
// Metrics are written by hand: a dozen gauges do not pay for a client
// library of megabytes.
package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/authority"
	"github.com/tillside/tillside/sync/central/console"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/central/release"
	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/wire"
)

// Config of the handler.
type Config struct {
	DB      *db.DB
	Ledger  *ledger.Ledger
	Members *members.Room
	Sync    http.Handler        // sessions
	Online  func() []string     // devices with a session
	Drop    func(device string) // ends the session of a revoked device
	// Explain says why a receipt came out as it did.
	Explain func(bundle int64, r *loyalty.Result, language string) (*loyalty.Explanation, error)
	URL     string   // how tills reach us; empty: as they did
	Hosts   []string // names browsers may use; empty: any
	TLS     bool     // we end TLS ourselves
	// Erased is the file that lists who was erased.
	Erased string
	// Authority of our own; nil: certificates come from elsewhere, and tills have
	// none.
	Authority *authority.Authority
	Version   string
	Log       *slog.Logger
	Now       func() time.Time
}

type api struct {
	Config
	guard access.Guard
}

// New builds the handler.
func New(cfg Config) (http.Handler, error) {
	a := &api{Config: cfg}
	var complete func(string) string
	if cfg.Authority != nil {
		complete = cfg.Authority.Code
	}
	pages, err := console.New(console.Config{Complete: complete, Erased: cfg.Erased, DB: cfg.DB, Ledger: cfg.Ledger, Members: cfg.Members, Online: cfg.Online, Drop: cfg.Drop, Explain: cfg.Explain,
		Secure: cfg.TLS || strings.HasPrefix(cfg.URL, "https:"), Version: cfg.Version, Log: cfg.Log, Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.ProgramPath+"{sha256}", a.program)
	mux.HandleFunc("POST "+wire.EnrolPath, a.enrol)
	mux.Handle("GET "+wire.SyncPath, a.certified(cfg.Sync))
	mux.HandleFunc("POST "+wire.CertificatePath, a.certificate)
	mux.HandleFunc("GET /healthz", a.health)
	mux.HandleFunc("GET /metrics", a.metrics)
	mux.Handle("/", a.hosts(pages))
	return mux, nil
}

// hosts refuses pages under a name that is not ours, when names are set.
func (a *api) hosts(next http.Handler) http.Handler {
	if len(a.Hosts) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if !slices.Contains(a.Hosts, host) && !slices.Contains(a.Hosts, r.Host) {
			http.Error(w, "this centre does not answer to that name", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, status int, e wire.Error) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(wire.ErrorBody{Error: e})
}

// enrol makes a device out of a one-time code. Wrong codes are slowed down
// per address besides the five tries each code has.
func (a *api) enrol(w http.ResponseWriter, r *http.Request) {
	if len(r.Header.Values("Origin")) > 0 {
		refuse(w, http.StatusForbidden, wire.Error{Code: "forbidden", Message: "tills enrol, web pages do not"})
		return
	}
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	now := a.Now()
	if err := a.guard.Allow(now, address); err != nil {
		w.Header().Set("Retry-After", "60")
		refuse(w, http.StatusTooManyRequests, wire.Error{Code: "too_many_tries", Message: "too many wrong codes from this address", Hint: "wait a minute"})
		return
	}
	var q wire.EnrolRequest
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10))
	if err := dec.Decode(&q); err != nil {
		refuse(w, http.StatusBadRequest, wire.Error{Code: "malformed", Message: "the request is not the JSON of an enrolment"})
		return
	}
	var answer wire.EnrolAnswer
	var refused error
	err = a.DB.Write(r.Context(), func(tx *db.Tx) error {
		d, err := fleet.Enrol(tx, &q, now, nil)
		if _, _, ok := fleet.Refusal(err); ok {
			refused = err
			return nil // the counted try is kept
		}
		if err != nil {
			return err
		}
		// The device it replaces, if any, is revoked: its leases go back.
		if _, err := a.Ledger.ReturnRevoked(tx); err != nil {
			return err
		}
		answer = wire.EnrolAnswer{Device: d.ID, Epoch: d.Epoch, Store: d.Store, Till: d.Till, SyncURL: a.syncURL(r)}
		if answer.LookupKey, err = a.Members.LookupKey(tx); err != nil {
			return err
		}
		st, err := keys.State(tx)
		if err != nil {
			return err
		}
		answer.Root = st.SignedRoot()
		if a.Authority != nil {
			answer.Authority = a.Authority.DER()
			if answer.Certificate, err = a.Authority.Device(d.ID, d.Key); err != nil {
				return err
			}
		}
		return access.Note(tx, "technician", "enrol", d.Store+"/"+d.Till, d.ID+" on "+d.Host+" from "+address, now)
	})
	switch {
	case refused != nil:
		a.guard.Wrong(now, address)
		code, hint, _ := fleet.Refusal(refused)
		status := http.StatusForbidden
		if errors.Is(refused, fleet.ErrMalformed) {
			status = http.StatusBadRequest
		}
		a.Log.Warn("enrolment refused", "remote", address, "reason", code)
		refuse(w, status, wire.Error{Code: code, Message: refused.Error(), Hint: hint})
	case err != nil:
		a.Log.Error("enrol", "error", err)
		refuse(w, http.StatusInternalServerError, wire.Error{Code: "internal", Message: "the centre could not store the device", Hint: "try again"})
	default:
		a.Log.Info("till enrolled", "device", answer.Device, "store", answer.Store, "till", answer.Till, "remote", address)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// certified lets only tills with a certificate of ours through, where we end TLS
// with our own authority: mutual TLS. Which till it is must be the one that the
// signed HELLO names.
func (a *api) certified(next http.Handler) http.Handler {
	if a.Authority == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		device, err := a.Authority.Peer(r.TLS)
		if err != nil {
			a.Log.Warn("session refused", "remote", r.RemoteAddr, "device", device, "reason", err)
			code := "certificate_needed"
			if errors.Is(err, authority.ErrExpired) {
				code = "certificate_expired"
			}
			refuse(w, http.StatusForbidden, wire.Error{Code: code, Message: err.Error(), Hint: "renew it: POST " + wire.CertificatePath})
			return
		}
		next.ServeHTTP(w, r.WithContext(hub.WithDevice(r.Context(), device)))
	})
}

// certificate renews a till's certificate. Its key proves who asks; that its
// certificate has ended meanwhile does not matter, that it is revoked does.
func (a *api) certificate(w http.ResponseWriter, r *http.Request) {
	if a.Authority == nil {
		refuse(w, http.StatusNotFound, wire.Error{Code: "no_authority", Message: "this centre has no authority of its own"})
		return
	}
	if len(r.Header.Values("Origin")) > 0 {
		refuse(w, http.StatusForbidden, wire.Error{Code: "forbidden", Message: "web pages have no certificates"})
		return
	}
	var q wire.CertificateRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10)).Decode(&q); err != nil || !wire.ValidDevice(q.Device) {
		refuse(w, http.StatusBadRequest, wire.Error{Code: "malformed", Message: "the request is not the JSON of a certificate request"})
		return
	}
	var d *fleet.Device
	err := a.DB.Read(r.Context(), func(tx *db.Tx) (err error) { d, err = fleet.ByID(tx, q.Device); return err })
	switch {
	case err != nil && !errors.Is(err, fleet.ErrUnknown):
		a.Log.Error("renew certificate", "error", err)
		refuse(w, http.StatusInternalServerError, wire.Error{Code: "internal", Message: "the centre could not look the device up", Hint: "try again"})
		return
	case err != nil || q.Verify(d.Key) != nil:
		// Unknown and wrongly signed look the same to who asks.
		a.Log.Warn("certificate refused", "device", q.Device, "remote", r.RemoteAddr, "reason", "signature")
		refuse(w, http.StatusForbidden, wire.Error{Code: "signature", Message: "not signed by the key of a known device"})
		return
	case d.State == fleet.Revoked:
		a.Log.Warn("certificate refused", "device", q.Device, "remote", r.RemoteAddr, "reason", "revoked")
		refuse(w, http.StatusForbidden, wire.Error{Code: "revoked", Message: "this device is revoked", Hint: "enrol the till again"})
		return
	}
	der, err := a.Authority.Device(d.ID, d.Key)
	if err != nil {
		a.Log.Error("renew certificate", "error", err)
		refuse(w, http.StatusInternalServerError, wire.Error{Code: "internal", Message: "the certificate could not be made"})
		return
	}
	a.Log.Info("certificate renewed", "device", d.ID, "remote", r.RemoteAddr)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(wire.CertificateAnswer{Certificate: der})
}

// syncURL is where the till opens its sessions.
func (a *api) syncURL(r *http.Request) string {
	if u, err := url.Parse(a.URL); a.URL != "" && err == nil {
		u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
		u.Path = strings.TrimSuffix(u.Path, "/") + wire.SyncPath
		return u.String()
	}
	scheme := "ws"
	if a.TLS {
		scheme = "wss"
	}
	return (&url.URL{Scheme: scheme, Host: r.Host, Path: wire.SyncPath}).String()
}

// program gives a till the program that a signed list names.
func (a *api) program(w http.ResponseWriter, r *http.Request) {
	path, ok := release.File(a.DB.Dir(), r.PathValue("sha256"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	// A slow line takes longer than any other answer may.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour))
	http.ServeFile(w, r, path)
}

func (a *api) health(w http.ResponseWriter, r *http.Request) {
	var one int
	err := a.DB.Read(r.Context(), func(tx *db.Tx) error {
		_, err := tx.Row(`SELECT 1`, nil, &one)
		return err
	})
	if err != nil {
		a.Log.Error("health check", "error", err)
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

func (a *api) metrics(w http.ResponseWriter, r *http.Request) {
	type gauge struct {
		name, help, sql string
	}
	gauges := []gauge{
		{"tillside_central_members", "Members in the programme.", `SELECT COUNT(*) FROM member`},
		{"tillside_central_tills", "Tills known.", `SELECT COUNT(*) FROM till`},
		{"tillside_central_devices_quarantined", "Devices whose journal forked.", `SELECT COUNT(*) FROM device WHERE state = 'quarantined'`},
		{"tillside_central_queue_records", "Records the tills said they still had to send.", `SELECT COALESCE(SUM(queue), 0) FROM device WHERE state = 'active'`},
		{"tillside_central_entries", "Ledger entries.", `SELECT COALESCE((SELECT value FROM counter WHERE name = 'entry'), 0)`},
		{"tillside_central_receipts", "Receipts in the purchase history.", `SELECT COALESCE((SELECT value FROM counter WHERE name = 'receipt'), 0)`},
		{"tillside_central_parked_records", "Records waiting for a person.", `SELECT COUNT(*) FROM parked WHERE resolved = 0`},
		{"tillside_central_waiting_returns", "Returns whose sale has not arrived.", `SELECT COUNT(*) FROM waiting`},
		{"tillside_central_open_holds", "Points kept for receipts that are not closed.", `SELECT COUNT(*) FROM hold WHERE state IN ('open', 'unresolved')`},
		{"tillside_central_rulebook_version", "Newest rulebook.", `SELECT COALESCE(MAX(version), 0) FROM bundle`},
	}
	var out strings.Builder
	err := a.DB.Read(r.Context(), func(tx *db.Tx) error {
		for _, g := range gauges {
			var v int64
			if _, err := tx.Row(g.sql, nil, &v); err != nil {
				return err
			}
			fmt.Fprintf(&out, "# HELP %s %s\n# TYPE %s gauge\n%s %d\n", g.name, g.help, g.name, g.name, v)
		}
		return nil
	})
	if err != nil {
		a.Log.Error("metrics", "error", err)
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(&out, "# HELP tillside_central_tills_online Tills with a session.\n# TYPE tillside_central_tills_online gauge\ntillside_central_tills_online %d\n", len(a.Online()))
	fmt.Fprintf(&out, "# HELP tillside_central_transactions_total Writing transactions of this process.\n# TYPE tillside_central_transactions_total counter\ntillside_central_transactions_total %d\n", a.DB.Writes())
	fmt.Fprintf(&out, "# HELP tillside_build_info Program version.\n# TYPE tillside_build_info gauge\ntillside_build_info{program=\"tillside-central\",version=%q} 1\n", a.Version)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, out.String())
}
