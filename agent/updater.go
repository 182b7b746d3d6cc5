package agent

import (
	"archive/zip"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tillside/tillside/agent/internal/private"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/agent/update"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/sync/trust"
	"github.com/tillside/tillside/sync/wire"
)

// ErrRestart is returned by Run when another program is to take over: the
// caller lets the shelf choose.
var ErrRestart = errors.New("another program takes over")

// updater takes releases in, switches at the right moment, and judges the
// program it is itself when that is on trial.
type updater struct {
	*Agent
	shelf *update.Shelf

	began time.Time // of this run
	well  time.Time // since when the trial goes well; zero: it does not
	last  time.Time // when it did last
	ill   string    // why not
}

// updateLook is how often the updater looks.
const updateLook = time.Second

// updates is the actor.
func (a *Agent) updates(ctx context.Context) error {
	u := &updater{Agent: a, shelf: a.o.Shelf, began: a.o.Now()}
	u.last = u.began
	look := time.NewTicker(updateLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		u.inbox(ctx)
		restart, err := u.judge()
		if err == nil && !restart {
			restart, err = u.change()
		}
		if err != nil {
			a.log.Error("update", "error", err)
			continue
		}
		if restart {
			return ErrRestart
		}
	}
}

// releases lays a list that came down the line into the inbox: whether it may
// be believed, and the program it names, are looked at beside the link.
func (a *applier) releases(f *wire.Feed) error {
	for _, raw := range f.Items {
		var item wire.ReleaseItem
		if err := wire.ReadItem(raw, &item); err != nil {
			return a.note("release_refused", err.Error())
		}
		dir := filepath.Join(a.dir, update.Folder, update.Inbox)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := private.WriteFile(filepath.Join(dir, "centre.json"), item.Signed); err != nil {
			return err
		}
	}
	return a.cache.Update(func(tx *store.CacheTx) error { return tx.SetCursor(string(f.Lane), f.Upto) })
}

// inbox takes in what a person or the link left there. What could not be had
// now (the line is down) stays; what is refused goes, and is told.
func (u *updater) inbox(ctx context.Context) {
	dir := filepath.Join(u.dir, update.Folder, update.Inbox)
	list, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		var version string
		var err error
		switch filepath.Ext(e.Name()) {
		case ".zip":
			version, err = u.fromFile(path)
		case ".json":
			version, err = u.fromCentre(ctx, path)
		default:
			continue // being written
		}
		var later *laterError
		switch {
		case errors.As(err, &later):
			u.log.Debug("release not taken yet", "error", err)
			continue
		case errors.Is(err, update.ErrSame), errors.Is(err, errNotForUs):
			u.log.Info("release", "note", err.Error())
		case err != nil:
			u.log.Error("release refused", "file", e.Name(), "error", err)
			u.note("release_refused", err.Error())
		default:
			u.log.Info("program waits for its hour", "version", version)
			u.note("program_staged", version)
		}
		if err := os.Remove(path); err != nil {
			u.log.Error("inbox", "error", err)
		}
	}
}

// laterError is what time may mend.
type laterError struct{ err error }

func (e *laterError) Error() string { return e.err.Error() }
func (e *laterError) Unwrap() error { return e.err }

var errNotForUs = errors.New("the list names no program for this machine")

func (u *updater) fromFile(path string) (version string, err error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return "", fmt.Errorf("not a release file: %w", err)
	}
	defer z.Close()
	f, err := z.Open("releases.json")
	if err != nil {
		return "", errors.New("not a release file: it holds no releases.json")
	}
	signed, err := io.ReadAll(io.LimitReader(f, 1<<20))
	f.Close()
	if err != nil {
		return "", err
	}
	return u.take(signed, func(p *trust.Program) (io.ReadCloser, error) { return z.Open(p.SHA256) })
}

func (u *updater) fromCentre(ctx context.Context, path string) (version string, err error) {
	signed, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return u.take(signed, func(p *trust.Program) (io.ReadCloser, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.id.Server+wire.ProgramPath+p.SHA256, nil)
		if err != nil {
			return nil, err
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: u.creds.client(), DialContext: u.o.Host.Dial, Proxy: http.ProxyFromEnvironment,
			DisableKeepAlives: true, ResponseHeaderTimeout: 30 * time.Second}}
		resp, err := client.Do(req)
		if err != nil {
			return nil, &laterError{err}
		}
		if resp.StatusCode != http.StatusOK {
			resp.Body.Close()
			return nil, &laterError{fmt.Errorf("the centre answers %s", resp.Status)}
		}
		return resp.Body, nil
	})
}

// take believes a list, remembers that, and stages the program it has for us.
func (u *updater) take(signed []byte, open func(*trust.Program) (io.ReadCloser, error)) (version string, err error) {
	var l *trust.Releases
	err = u.rules.keys.ask(func(st *trust.State) error {
		l, err = st.Releases(signed, u.clock.trusted())
		return err
	})
	if err != nil {
		return "", err
	}
	p, ok := update.Here(l, u.id.Store)
	if !ok {
		return "", errNotForUs
	}
	if err := u.shelf.Wants(&p); err != nil {
		return p.Version, err
	}
	r, err := open(&p)
	if err != nil {
		return "", err
	}
	defer r.Close()
	if _, err := u.shelf.Stage(&p, r); err != nil {
		if errors.Is(err, trust.ErrContent) {
			return "", err
		}
		return "", &laterError{err} // the line broke, the disk is full
	}
	return p.Version, u.rules.keys.change(func(st *trust.State) error { st.AcceptReleases(l); return nil })
}

func (a *Agent) note(action, detail string) {
	ap := applier{journal: a.journal}
	if err := ap.note(action, detail); err != nil {
		a.log.Error("record not written", "action", action, "error", err)
	}
}

// judge looks at this very program while it is on trial.
func (u *updater) judge() (restart bool, err error) {
	st, err := u.shelf.State()
	if err != nil || st.Trial == nil || st.Current == nil || st.Current.Version != u.o.Version {
		return false, err
	}
	now := u.o.Now()
	s := u.o.Settings.Update
	if u.ill = u.notAs(&st.Trial.Before); u.ill == "" {
		if u.well.IsZero() {
			u.well = now
		}
		u.last = now
		if now.Sub(u.well) < time.Duration(s.Probation) {
			return false, nil
		}
		if err := u.shelf.Confirm(); err != nil {
			return false, err
		}
		u.log.Info("program confirmed", "version", u.o.Version)
		u.note("program_confirmed", u.o.Version)
		return false, nil
	}
	u.well = time.Time{}
	if now.Sub(u.last) < time.Duration(s.Patience) {
		return false, nil
	}
	if err := u.shelf.Back(u.ill); err != nil {
		return false, err
	}
	u.log.Error("program goes back", "version", u.o.Version, "reason", u.ill)
	u.note("program_back", u.o.Version+": "+u.ill)
	return true, nil
}

// gone are states of a device that a new program could have brought about; an
// empty paper roll is not one.
var gone = []string{string(drivers.Absent), string(drivers.NoAccess), string(drivers.Wedged), string(drivers.Silent), string(drivers.Garbage), string(drivers.Closed)}

// notAs tells what is worse than before the switch; empty: nothing.
func (u *updater) notAs(b *update.Before) string {
	if err := u.journal.View(func(*store.Tx) error { return nil }); err != nil {
		return "the store does not open: " + err.Error()
	}
	if b.Rulebook && u.rules.number() == 0 {
		return "the rulebook that was in force does not work"
	}
	if b.Online && !u.link.Online() {
		return cmp.Or("no link to the centre: "+u.link.Status().LastError, "no link to the centre")
	}
	for _, d := range u.devices.States() {
		if slices.Contains(b.Ready, d.Name) && slices.Contains(gone, d.State) {
			return d.Name + " was ready and is " + d.State
		}
	}
	return ""
}

// change switches to the staged program when the hour has come and nobody is
// in the middle of a receipt.
func (u *updater) change() (restart bool, err error) {
	st, err := u.shelf.State()
	if err != nil || st.Staged == nil || st.Trial != nil {
		return false, err
	}
	s := u.till.Status()
	if !u.o.Settings.Update.Window.Holds(u.o.Now()) || len(s.Open) > 0 || u.till.Busy() {
		return false, nil
	}
	if err := u.journal.Backup(filepath.Join(u.dir, "backup", "journal-before-"+st.Staged.Version+".db")); err != nil {
		return false, fmt.Errorf("copy the journal: %w", err)
	}
	before := update.Before{Rulebook: u.rules.number() > 0, Online: u.link.Online(), Ready: ready(s.Devices)}
	if err := u.shelf.Switch(before); err != nil {
		return false, err
	}
	u.log.Info("program switches", "version", st.Staged.Version, "from", u.o.Version)
	u.note("program_switched", u.o.Version+" to "+st.Staged.Version)
	return true, nil
}

func ready(all []till.DeviceState) (names []string) {
	for _, d := range all {
		if d.State == string(drivers.Ready) {
			names = append(names, d.Name)
		}
	}
	slices.Sort(names)
	return names
}
