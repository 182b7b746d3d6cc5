package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/wire"
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
		bundle, err := rulebook.Latest(tx)
		if err != nil {
			return err
		}
		all, err := fleet.Tills(tx)
		if err != nil {
			return err
		}
		for _, t := range all {
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
		bundle, err := rulebook.Latest(tx)
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
	case e.From == ledger.Lost:
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

func (c *console) receipts(v *view) error {
	q := v.r.URL.Query()
	f := ledger.Filter{Store: q.Get("store"), Till: q.Get("till"), Number: strings.TrimSpace(q.Get("number"))}
	f.Before, _ = strconv.ParseInt(q.Get("before"), 10, 64)
	var rows []ledger.Receipt
	err := v.DB.Read(v.r.Context(), func(tx *db.Tx) (err error) {
		rows, err = ledger.Receipts(tx, f, pageRows)
		return err
	})
	if err != nil {
		return err
	}
	data := map[string]any{"Rows": rows, "Filter": f}
	if len(rows) == pageRows {
		q.Set("before", fmt.Sprint(rows[len(rows)-1].ID))
		data["More"] = "/receipts?" + url.Values{"store": {f.Store}, "till": {f.Till}, "number": {f.Number}, "before": {q.Get("before")}}.Encode()
	}
	return v.page(http.StatusOK, "receipts", data)
}

// goods is one line of a receipt with what each rule did to it.
type goods struct {
	loyalty.LineResult
	Name  string
	Price loyalty.Price
}

func (c *console) receipt(v *view) error {
	id, err := strconv.ParseInt(v.r.PathValue("id"), 10, 64)
	if err != nil {
		return fail(http.StatusNotFound, "error.not_found")
	}
	data := map[string]any{}
	err = v.DB.Read(v.r.Context(), func(tx *db.Tx) error {
		r, err := ledger.OneReceipt(tx, id)
		if err != nil {
			return err
		}
		if r == nil {
			return fail(http.StatusNotFound, "error.not_found")
		}
		data["Receipt"] = *r
		raw, err := ledger.Record(tx, r.Device, r.Epoch, r.Seq)
		if err != nil {
			return err
		}
		if raw != nil {
			if err := readReceipt(raw, data); err != nil {
				return err
			}
		}
		if res, ok := data["Result"].(loyalty.Result); ok && v.Explain != nil && res.Rulebook != "" {
			// Without the rulebook's words the page shows what is stored.
			if x, err := v.Explain(data["Record"].(*wire.Record).Bundle, &res, v.lang); err == nil {
				data["Explanation"] = x
			}
		}
		entries, err := ledger.ReceiptEntries(tx, *r)
		if err != nil {
			return err
		}
		data["Journal"] = v.lines(entries)
		if data["Returns"], err = ledger.Returns(tx, *r); err != nil {
			return err
		}
		if r.Original != 0 {
			data["Original"], err = ledger.OneReceipt(tx, r.Original)
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.page(http.StatusOK, "receipt", data)
}

// readReceipt takes the lines and rules out of the stored record, which is
// what the till did, word for word.
func readReceipt(raw []byte, data map[string]any) error {
	rec, err := wire.DecodeRecord(raw)
	if err != nil {
		return err
	}
	data["Record"] = rec
	switch rec.Type {
	case wire.TypeCommit:
		var p wire.Commit
		var basket loyalty.Receipt
		var result loyalty.Result
		if err := wire.ReadPayload(rec, &p); err != nil {
			return err
		}
		// The parts are shown as far as they can be read: the record was
		// accepted, a newer till may have written more into it.
		if len(p.Receipt) > 0 {
			_ = json.Unmarshal(p.Receipt, &basket)
		}
		if len(p.Result) > 0 {
			_ = json.Unmarshal(p.Result, &result)
		}
		byID := map[string]loyalty.Line{}
		for i, l := range basket.Lines {
			if l.ID == "" {
				l.ID = strconv.Itoa(i + 1)
			}
			byID[l.ID] = l
		}
		var all []goods
		for _, l := range result.Lines {
			b := byID[l.ID]
			all = append(all, goods{l, b.Name, b.Price})
		}
		data["Goods"], data["Result"], data["Tenders"] = all, result, basket.Tenders
	case wire.TypeReturn:
		var p wire.Return
		if err := wire.ReadPayload(rec, &p); err != nil {
			return err
		}
		data["Moves"] = p.Moves
	}
	return nil
}

func (c *console) rulebooks(v *view) error {
	var all []rulebook.Published
	var keys []wire.PublicKey
	err := v.DB.Read(v.r.Context(), func(tx *db.Tx) (err error) {
		if all, err = rulebook.List(tx); err != nil {
			return err
		}
		keys, err = rulebook.Keys(tx)
		return err
	})
	if err != nil {
		return err
	}
	return v.page(http.StatusOK, "rulebooks", map[string]any{"Rows": all, "Keys": keys})
}

func (c *console) rulebook(v *view) error {
	n, err := strconv.ParseInt(v.r.PathValue("version"), 10, 64)
	if err != nil || n < 1 {
		return fail(http.StatusNotFound, "error.not_found")
	}
	var b *wire.Bundle
	err = v.DB.Read(v.r.Context(), func(tx *db.Tx) (err error) {
		b, err = rulebook.Get(tx, n)
		return err
	})
	if errors.Is(err, rulebook.ErrUnknown) {
		return fail(http.StatusNotFound, "error.not_found")
	}
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, b.Payload, "", "  "); err != nil {
		return err
	}
	return v.page(http.StatusOK, "rulebook", map[string]any{"Bundle": b, "Text": text.String()})
}

func (c *console) attention(v *view) error {
	data := map[string]any{}
	err := v.DB.Read(v.r.Context(), func(tx *db.Tx) (err error) {
		if data["Parked"], err = ledger.ParkedRecords(tx, 200); err != nil {
			return err
		}
		if data["Findings"], err = ledger.Findings(tx, 200); err != nil {
			return err
		}
		data["Summary"], err = ledger.Counts(tx)
		return err
	})
	if err != nil {
		return err
	}
	return v.page(http.StatusOK, "attention", data)
}
