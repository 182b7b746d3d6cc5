package console

import (
	"errors"
	"net/http"
	"sort"
	"strconv"
	"strings"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/wire"
)

func (c *console) members(v *view) error {
	q := v.r.URL.Query().Get("q")
	type row struct {
		members.Member
		Wallets map[string]ledger.Balance
	}
	var rows []row
	err := v.DB.Read(v.r.Context(), func(tx *db.Tx) error {
		found, err := v.Members.Search(tx, q, 50)
		if err != nil {
			return err
		}
		for _, m := range found {
			b, err := ledger.Balances(tx, m.ID)
			if err != nil {
				return err
			}
			rows = append(rows, row{m, b})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.page(http.StatusOK, "members", map[string]any{"Query": q, "Rows": rows})
}

// line is an entry of the journal with the reason in words.
type line struct {
	ledger.Entry
	Why   string
	Delta loyalty.Points // what it did to the points the member can spend
}

func (v *view) lines(entries []ledger.Entry) []line {
	all := make([]line, len(entries))
	for i, e := range entries {
		all[i] = line{Entry: e, Why: v.why(e)}
		if e.To == ledger.Available {
			all[i].Delta = e.Points
		} else if e.From == ledger.Available {
			all[i].Delta = -e.Points
		}
	}
	return all
}

// why explains one entry in a sentence.
func (v *view) why(e ledger.Entry) string {
	key := "why." + string(e.Kind)
	switch {
	case e.From == ledger.Lost, e.To == ledger.Lost:
		key += ".lost"
	case e.Kind == ledger.Earn && e.To == ledger.Pending:
		key += ".pending"
	}
	s := v.t(key, e.Points)
	if e.Rule != "" {
		s += " " + v.t("why.rule", e.Rule)
	}
	if e.Note != "" && e.Device == 0 {
		s += " (" + e.Note + ")"
	}
	return s
}

func (v *view) memberID() (loyalty.MemberID, error) {
	var id loyalty.MemberID
	if err := id.UnmarshalText([]byte(v.r.PathValue("id"))); err != nil || id > 1<<63-1 {
		return 0, fail(http.StatusNotFound, "error.not_found")
	}
	return id, nil
}

const pageRows = 100

func (c *console) member(v *view) error {
	id, err := v.memberID()
	if err != nil {
		return err
	}
	before, _ := strconv.ParseInt(v.r.URL.Query().Get("before"), 10, 64)
	wallet := v.r.URL.Query().Get("wallet")
	data := map[string]any{"Before": before}
	err = v.DB.Read(v.r.Context(), func(tx *db.Tx) error {
		m, err := v.Members.Get(tx, id)
		if err != nil {
			return err
		}
		balances, err := ledger.Balances(tx, id)
		if err != nil {
			return err
		}
		names := make([]string, 0, len(balances))
		for n := range balances {
			names = append(names, n)
		}
		sort.Strings(names)
		if wallet == "" && len(names) > 0 {
			wallet = names[0]
		}
		entries, err := ledger.Journal(tx, id, wallet, before, pageRows)
		if err != nil {
			return err
		}
		receipts, err := ledger.MemberReceipts(tx, id, 25)
		if err != nil {
			return err
		}
		have, err := ledger.Holdings(tx, []loyalty.MemberID{id})
		if err != nil {
			return err
		}
		if s := have[id]; s != nil {
			data["State"] = s
		}
		if data["Leases"], err = ledger.LiveLeases(tx, id, wallet); err != nil {
			return err
		}
		data["Member"], data["Balances"], data["Wallets"], data["Wallet"] = m, balances, names, wallet
		data["Journal"], data["Receipts"] = v.lines(entries), receipts
		if len(entries) == pageRows {
			data["More"] = entries[len(entries)-1].ID
		}
		return nil
	})
	if errors.Is(err, members.ErrUnknown) {
		return fail(http.StatusNotFound, "error.not_found")
	}
	if err != nil {
		return err
	}
	return v.page(http.StatusOK, "member", data)
}

func (c *console) card(v *view) error {
	id, err := v.memberID()
	if err != nil {
		return err
	}
	ref, err := wire.ParseRef(v.r.PostFormValue("ref"))
	if err != nil || ref.IsZero() {
		return fail(http.StatusBadRequest, "error.form")
	}
	do := v.r.PostFormValue("do")
	err = v.DB.Write(v.r.Context(), func(tx *db.Tx) error {
		owner, err := members.ByRef(tx, ref)
		if err != nil || owner != id {
			return fail(http.StatusNotFound, "error.not_found")
		}
		switch do {
		case "block":
			err = v.Members.SetStatus(tx, ref, "blocked")
		case "free":
			err = v.Members.SetStatus(tx, ref, "active")
		case "replace":
			_, err = v.Members.Reissue(tx, ref, v.r.PostFormValue("number"))
		default:
			return fail(http.StatusBadRequest, "error.form")
		}
		switch {
		case errors.Is(err, members.ErrBad):
			return fail(http.StatusBadRequest, "error.card")
		case errors.Is(err, members.ErrTaken):
			return fail(http.StatusConflict, "error.card_taken")
		case err != nil:
			return err
		}
		return access.Note(tx, v.session.Operator, "card "+do, id.String(), ref.String(), v.Now())
	})
	if err != nil {
		return err
	}
	return v.redirect("/members/" + id.String())
}

// erase forgets a person. The word has to be typed: a button alone is pressed too
// easily for what nobody can take back.
func (c *console) erase(v *view) error {
	id, err := v.memberID()
	if err != nil {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(v.r.PostFormValue("word")), v.t("member.erase_word")) {
		return fail(http.StatusBadRequest, "error.erase_word")
	}
	if err := members.NoteErasure(c.Erased, id); err != nil {
		return err
	}
	err = v.DB.Write(v.r.Context(), func(tx *db.Tx) error {
		if err := v.Members.Erase(tx, id, v.session.Operator, ""); err != nil {
			return err
		}
		return access.Note(tx, v.session.Operator, "member erase", id.String(), "", v.Now())
	})
	if errors.Is(err, members.ErrUnknown) {
		return fail(http.StatusNotFound, "error.not_found")
	}
	if err != nil {
		return err
	}
	if err := v.DB.Scrub(v.r.Context()); err != nil {
		c.Log.Warn("scrub", "error", err)
	}
	return v.redirect("/members/" + id.String())
}
