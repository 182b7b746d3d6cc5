package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/rulebook"
)

// harmless are states of a peripheral that need nobody.
var harmless = map[string]bool{"ready": true, "opening": true, "busy": true, "paper_near": true, "drawer_open": true,
	"receipt_open": true, "receipt_closed": true, "shift_closed": true, "not_fiscal": true}

// silence is how long a till may be unheard before its row is marked.
const silence = 10 * time.Minute

// tillRow is a till as the list shows it.
type tillRow struct {
	fleet.Till
	Peripherals []fleet.Peripheral
	Online      bool
	Health      string // key of the words: ok, offline, queue, rulebook, faulty, quarantined, revoked, none
}

func (v *view) row(tx *db.Tx, t fleet.Till, online []string, bundle int64) (tillRow, error) {
	r := tillRow{Till: t, Health: "none"}
	d := t.Device
	if d == nil {
		return r, nil
	}
	var err error
	if r.Peripherals, err = fleet.Peripherals(tx, d.No); err != nil {
		return r, err
	}
	r.Online = slices.Contains(online, d.ID)
	// The worst first: a cause hides its effects.
	switch {
	case d.State == fleet.Revoked:
		r.Health = "revoked"
	case d.State == fleet.Quarantined:
		r.Health = "quarantined"
	case !r.Online && v.Now().Sub(d.LastSeen) > silence:
		r.Health = "silent"
	case !r.Online:
		r.Health = "offline"
	case d.Rejected != "":
		r.Health = "rejected"
	case slices.ContainsFunc(r.Peripherals, func(p fleet.Peripheral) bool { return !harmless[p.State] }):
		r.Health = "faulty"
	case d.Bundle < bundle:
		r.Health = "rulebook"
	default:
		r.Health = "ok"
	}
	return r, nil
}

func (c *console) tills(v *view) error { return v.showTills(http.StatusOK, map[string]any{}) }

func (v *view) showTills(status int, data map[string]any) error {
	online := v.Online()
	var rows []tillRow
	err := v.DB.Read(v.r.Context(), func(tx *db.Tx) error {
		all, err := fleet.Tills(tx)
		if err != nil {
			return err
		}
		for _, t := range all {
			bundle, err := rulebook.ForStore(tx, t.Store)
			if err != nil {
				return err
			}
			row, err := v.row(tx, t, online, bundle)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	})
	if err != nil {
		return err
	}
	data["Rows"] = rows
	return v.page(status, "tills", data)
}

func (c *console) addTill(v *view) error {
	store, till := strings.TrimSpace(v.r.PostFormValue("store")), strings.TrimSpace(v.r.PostFormValue("till"))
	var code string
	var expires time.Time
	err := v.DB.Write(v.r.Context(), func(tx *db.Tx) (err error) {
		if code, expires, err = fleet.NewCode(tx, store, till, v.Now(), nil); err != nil {
			return err
		}
		return access.Note(tx, v.session.Operator, "till add", store+"/"+till, "", v.Now())
	})
	if errors.Is(err, fleet.ErrMalformed) {
		return v.showTills(http.StatusBadRequest, map[string]any{"Problem": v.t("tills.bad_name"), "Store": store, "Till": till})
	}
	if err != nil {
		return err
	}
	if c.Complete != nil {
		code = c.Complete(code)
	}
	return v.showTills(http.StatusOK, map[string]any{"Code": code, "Expires": expires, "Store": store, "Till": till})
}

func (c *console) till(v *view) error {
	online := v.Online()
	var row tillRow
	err := v.DB.Read(v.r.Context(), func(tx *db.Tx) error {
		d, err := fleet.ByID(tx, v.r.PathValue("device"))
		if err != nil {
			return err
		}
		bundle, err := rulebook.ForStore(tx, d.Store)
		if err != nil {
			return err
		}
		row, err = v.row(tx, fleet.Till{Store: d.Store, Till: d.Till, Device: d}, online, bundle)
		return err
	})
	if errors.Is(err, fleet.ErrUnknown) {
		return fail(http.StatusNotFound, "error.not_found")
	}
	if err != nil {
		return err
	}
	return v.page(http.StatusOK, "till", map[string]any{"Row": row})
}

func (c *console) revoke(v *view) error {
	id := v.r.PathValue("device")
	if v.r.PostFormValue("sure") != "yes" {
		return fail(http.StatusBadRequest, "error.not_sure")
	}
	err := v.DB.Write(v.r.Context(), func(tx *db.Tx) error {
		n, err := fleet.Revoke(tx, "", "", id, "by "+v.session.Operator, v.Now())
		if err == nil && n == 0 {
			err = fail(http.StatusNotFound, "error.not_found")
		}
		if err == nil {
			_, err = v.Ledger.ReturnRevoked(tx)
		}
		if err != nil {
			return err
		}
		return access.Note(tx, v.session.Operator, "till revoke", id, "", v.Now())
	})
	if err != nil {
		return err
	}
	v.Drop(id)
	return v.redirect("/tills")
}
