package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/trust"
	"github.com/tillside/tillside/sync/wire"
)

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
	var root *trust.Root
	err := v.DB.Read(v.r.Context(), func(tx *db.Tx) (err error) {
		if all, err = rulebook.List(tx); err != nil {
			return err
		}
		st, err := keys.State(tx)
		if err != nil {
			return err
		}
		root = st.Root()
		return nil
	})
	if err != nil {
		return err
	}
	return v.page(http.StatusOK, "rulebooks", map[string]any{"Rows": all, "Root": root})
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
		if data["Exposure"], err = ledger.Exposed(tx, v.Now(), 24*time.Hour, 7*24*time.Hour, 200); err != nil {
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
