package members

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/wire"
)

// Columns are the names a CSV file for Import may have in its first line, in
// any order, with what they hold.
var Columns = [][2]string{
	{"external_id", "number of the member in the system they come from; identifies the row when there is no card"},
	{"card", "card number as it scans"},
	{"phone", "mobile phone in international form: +48501002003"},
	{"first_name", "as greeted at the till"},
	{"last_name", ""},
	{"email", ""},
	{"birthday", "YYYY-MM-DD or MM-DD"},
	{"language", "en, ru, pl or another two letters"},
	{"joined", "YYYY-MM-DD; today when empty"},
	{"segments", "names separated by semicolons; replaces what the member has"},
	{"consents", "names separated by semicolons; replaces what the member has"},
	{"tier", "id of a tier of the rulebook; of a member who has none yet"},
	{"card_type", ""},
	{"card_status", "active (when empty), inactive, blocked or lost; of a new card"},
	{"wallet", "wallet of the opening balance; points when empty"},
	{"balance", "opening balance, 12.50; booked once per member and wallet, whatever is imported later"},
	{"attribute:NAME", "any number of columns: attributes that rules may ask for"},
}

// RowProblem is what is wrong with one line of a file.
type RowProblem struct {
	Line int // from 1, the header is line 1
	Err  error
}

func (p RowProblem) Error() string {
	prefix := fmt.Sprintf("line %d: ", p.Line)
	return prefix + strings.ReplaceAll(p.Err.Error(), "\n", "\n"+prefix)
}

// RowProblems is everything that is wrong with a file, in the order of its
// lines.
type RowProblems []RowProblem

func (p RowProblems) Error() string {
	s := make([]string, len(p))
	for i := range p {
		s[i] = p[i].Error()
	}
	return strings.Join(s, "\n")
}

// mostProblems bounds the list: a file in the wrong encoding has as many
// problems as lines.
const mostProblems = 1000

// Imported counts what an import did.
type Imported struct {
	Rows      int `json:"rows"`
	Added     int `json:"added"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	Cards     int `json:"cards_made"`
}

// ImportOptions steer Import.
type ImportOptions struct {
	MakeCards bool                // give a new card to members without one
	Made      func(Member) error  // told of each member who was given a card, after the commit; may be nil
	Progress  func(done, all int) // called now and then; may be nil
}

// row is one line, checked.
type row struct {
	line   int
	person Person
	has    map[string]bool
	card   string
	typ    string
	status string
	tier   string
	wallet string
	points loyalty.Points
}

// readCSV reads and checks a whole file. The error is RowProblems when lines
// are wrong; then nothing should be imported.
func readCSV(in io.Reader) ([]row, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read the header line: %w", err)
	}
	head = slices.Clone(head)
	var problems RowProblems
	add := func(line int, err error) {
		if len(problems) < mostProblems {
			problems = append(problems, RowProblem{line, err})
		}
	}
	for i := range head {
		head[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(head[i], "\ufeff")))
		known := strings.HasPrefix(head[i], "attribute:") && shortWord.MatchString(head[i][10:])
		for _, c := range Columns {
			known = known || c[0] == head[i]
		}
		if !known || slices.Contains(head[:i], head[i]) {
			add(1, fmt.Errorf("column %q is unknown or there twice; known are %s", head[i], columnNames()))
		}
	}
	if !slices.Contains(head, "external_id") && !slices.Contains(head, "card") && !slices.Contains(head, "phone") {
		add(1, errors.New("one of the columns external_id, card, phone is needed to know a member again"))
	}
	if len(problems) > 0 {
		return nil, problems
	}
	var rows []row
	seen := map[string]int{}
	for {
		fields, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			var pe *csv.ParseError
			if !errors.As(err, &pe) {
				return nil, fmt.Errorf("read the file: %w", err)
			}
			add(pe.Line, pe.Err)
			if len(problems) >= mostProblems {
				break
			}
			continue
		}
		line, _ := r.FieldPos(0)
		if len(fields) != len(head) {
			add(line, fmt.Errorf("%d fields, the header has %d", len(fields), len(head)))
			continue
		}
		x, err := readRow(head, fields)
		x.line = line
		if err != nil {
			add(line, err)
		}
		for _, k := range x.keys() {
			if before, ok := seen[k]; ok {
				add(line, fmt.Errorf("%s is already on line %d", strings.Replace(k, ":", " ", 1), before))
			}
			seen[k] = line
		}
		rows = append(rows, x)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return rows, nil
}

func columnNames() string {
	var names []string
	for _, c := range Columns {
		names = append(names, c[0])
	}
	return strings.Join(names, ", ")
}

func (x *row) keys() []string {
	var k []string
	if x.person.External != "" {
		k = append(k, "external_id:"+x.person.External)
	}
	if x.card != "" {
		k = append(k, "card:"+x.card)
	}
	if x.person.Phone != "" {
		k = append(k, "phone:"+x.person.Phone)
	}
	return k
}

func readRow(head, fields []string) (row, error) {
	x := row{status: "active", wallet: "points", has: map[string]bool{}}
	var errs []error
	for i, name := range head {
		v := strings.TrimSpace(fields[i])
		if v == "" {
			continue
		}
		x.has[name] = true
		switch name {
		case "external_id":
			x.person.External = v
		case "card":
			n, err := CheckCard(v)
			x.card = n
			errs = append(errs, err)
		case "phone":
			x.person.Phone = v
		case "first_name":
			x.person.FirstName = v
		case "last_name":
			x.person.LastName = v
		case "email":
			x.person.Email = v
		case "birthday":
			x.person.Birthday = v
		case "language":
			x.person.Language = strings.ToLower(v)
		case "joined":
			x.person.Joined = v
		case "segments":
			x.person.Segments = split(v)
		case "consents":
			x.person.Consents = split(v)
		case "tier":
			x.tier = v
		case "card_type":
			x.typ = v
		case "card_status":
			x.status = v
			errs = append(errs, checkStatus(v))
		case "wallet":
			x.wallet = v
		case "balance":
			p, err := loyalty.ParsePoints(v)
			if err == nil && (p < 0 || p > ledger.MostPoints) {
				err = fmt.Errorf("balance %s: not below zero and not absurd: %w", v, ErrBad)
			}
			x.points = p
			errs = append(errs, err)
		default:
			if x.person.Attributes == nil {
				x.person.Attributes = map[string]string{}
			}
			x.person.Attributes[strings.TrimPrefix(name, "attribute:")] = v
		}
	}
	errs = append(errs, x.person.Check())
	if x.person.External == "" && x.card == "" && x.person.Phone == "" {
		errs = append(errs, errors.New("neither external_id nor card nor phone: nobody can know this member again"))
	}
	return x, errors.Join(errs...)
}

func split(s string) []string {
	var all []string
	for _, p := range strings.Split(s, ";") {
		if p = strings.TrimSpace(p); p != "" {
			all = append(all, p)
		}
	}
	return all
}

// importRows is how many rows share a transaction: a server that runs on the
// same database waits that long at most.
const importRows = 500

// Import reads a CSV file into the database. Nothing is written when a line
// is wrong; then the error is RowProblems. Importing the same file again
// changes nothing. A row meets the member with the same external_id, else the
// same card, else the same phone; columns that the file lacks or leaves empty
// stay as they are.
func (r *Room) Import(ctx context.Context, d *db.DB, in io.Reader, o ImportOptions) (Imported, error) {
	var sum Imported
	rows, err := readCSV(in)
	if err != nil {
		return sum, err
	}
	all := len(rows)
	for len(rows) > 0 {
		part := rows[:min(importRows, len(rows))]
		var made []loyalty.MemberID
		var s Imported
		err := d.Write(ctx, func(tx *db.Tx) error {
			made, s = nil, Imported{}
			for i := range part {
				id, err := r.importRow(tx, &part[i], &s)
				if err != nil {
					return RowProblems{{part[i].line, err}}
				}
				if o.MakeCards {
					var n int
					if _, err := tx.Row(`SELECT COUNT(*) FROM card WHERE member = ? AND kind = 'card' AND status IN ('active', 'inactive')`, []any{int64(id)}, &n); err != nil {
						return err
					}
					if n == 0 {
						if _, err := r.MakeCard(tx, id); err != nil {
							return err
						}
						made = append(made, id)
						s.Cards++
					}
				}
			}
			return nil
		})
		if err != nil {
			return sum, err
		}
		sum.Rows, sum.Added, sum.Changed, sum.Unchanged, sum.Cards = sum.Rows+s.Rows, sum.Added+s.Added, sum.Changed+s.Changed, sum.Unchanged+s.Unchanged, sum.Cards+s.Cards
		if o.Made != nil && len(made) > 0 {
			err := d.Read(ctx, func(tx *db.Tx) error {
				for _, id := range made {
					m, err := r.Get(tx, id)
					if err != nil {
						return err
					}
					if err := o.Made(*m); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return sum, err
			}
		}
		rows = rows[len(part):]
		if o.Progress != nil {
			o.Progress(sum.Rows, all)
		}
	}
	return sum, nil
}

func (r *Room) importRow(tx *db.Tx, x *row, sum *Imported) (loyalty.MemberID, error) {
	sum.Rows++
	id, err := r.meet(tx, x)
	if err != nil {
		return 0, err
	}
	fresh := id == 0
	if fresh {
		if id, err = r.Add(tx, x.person); err != nil {
			return 0, err
		}
	}
	changed, err := r.merge(tx, id, x, fresh)
	if err != nil {
		return 0, err
	}
	switch {
	case fresh:
		sum.Added++
	case changed:
		sum.Changed++
	default:
		sum.Unchanged++
	}
	return id, nil
}

// meet finds the member a row is about; 0 for a new one.
func (r *Room) meet(tx *db.Tx, x *row) (loyalty.MemberID, error) {
	var id loyalty.MemberID
	if x.person.External != "" {
		if ok, err := tx.Row(`SELECT member FROM contact WHERE external = ?`, []any{x.person.External}, &id); err != nil || ok {
			return id, err
		}
	}
	key, err := r.LookupKey(tx)
	if err != nil {
		return 0, err
	}
	for _, k := range [][2]string{{wire.KindCard, x.card}, {wire.KindPhone, x.person.Phone}} {
		if k[1] == "" {
			continue
		}
		id, err := ByRef(tx, wire.CardRef(key, k[0], k[1]))
		if err == nil {
			// Known under another outside number: two people, not one.
			if x.person.External != "" {
				var other string
				if _, err := tx.Row(`SELECT COALESCE(external, '') FROM contact WHERE member = ?`, []any{int64(id)}, &other); err != nil {
					return 0, err
				}
				if other != "" && other != x.person.External {
					return 0, fmt.Errorf("%s %s %w, external_id %s", k[0], Mask(k[1]), ErrTaken, other)
				}
			}
			return id, nil
		}
		if !errors.Is(err, ErrUnknown) {
			return 0, err
		}
	}
	return 0, nil
}

// merge writes what a row says and the member does not have yet.
func (r *Room) merge(tx *db.Tx, id loyalty.MemberID, x *row, fresh bool) (changed bool, err error) {
	m, err := r.Get(tx, id)
	if err != nil {
		return false, err
	}
	if !fresh {
		p := m.Person
		take := func(name string, to *string, v string) {
			if x.has[name] && *to != v {
				*to, changed = v, true
			}
		}
		take("external_id", &p.External, x.person.External)
		take("first_name", &p.FirstName, x.person.FirstName)
		take("last_name", &p.LastName, x.person.LastName)
		take("email", &p.Email, x.person.Email)
		take("phone", &p.Phone, x.person.Phone)
		take("birthday", &p.Birthday, x.person.Birthday)
		take("language", &p.Language, x.person.Language)
		take("joined", &p.Joined, x.person.Joined)
		if x.has["segments"] && !slices.Equal(p.Segments, x.person.Segments) {
			p.Segments, changed = x.person.Segments, true
		}
		if x.has["consents"] && !slices.Equal(p.Consents, x.person.Consents) {
			p.Consents, changed = x.person.Consents, true
		}
		for k, v := range x.person.Attributes {
			if p.Attributes[k] != v {
				if p.Attributes == nil {
					p.Attributes = map[string]string{}
				}
				p.Attributes[k], changed = v, true
			}
		}
		if changed {
			if err := r.contact(tx, id, p); err != nil {
				return false, err
			}
			err := tx.Exec(`UPDATE member SET joined = ?, segments = ?, attributes = ?, consents = ? WHERE id = ?`,
				p.Joined, encode(orEmpty(p.Segments)), encode(p.Attributes), encode(orEmpty(p.Consents)), int64(id))
			if err != nil {
				return false, err
			}
			if err := ledger.Touch(tx, id); err != nil {
				return false, err
			}
		}
	}
	for _, k := range [][4]string{{wire.KindCard, x.card, x.typ, x.status}, {wire.KindPhone, x.person.Phone, "", "active"}} {
		if k[1] == "" || slices.ContainsFunc(m.Cards, func(c Card) bool { return c.Kind == k[0] && c.Number == k[1] }) {
			continue
		}
		if err := r.AddCard(tx, id, k[0], k[1], k[2], k[3]); err != nil {
			return false, err
		}
		changed = true
	}
	if x.tier != "" {
		have, err := ledger.Holdings(tx, []loyalty.MemberID{id})
		if err != nil {
			return false, err
		}
		if have[id] == nil || have[id].Tier == "" { // an earned tier is not taken away by an old file
			changed = true
			err := r.Ledger.Change(tx, id, func(m *loyalty.Member) { m.Tier, m.TierSince = x.tier, r.Ledger.Today() })
			if err != nil {
				return false, err
			}
		}
	}
	if x.points > 0 {
		done, err := r.Ledger.AdjustBy(tx, id, x.wallet, x.points, "opening:"+id.String()+":"+x.wallet, "opening balance")
		if err != nil {
			return false, err
		}
		changed = changed || done
	}
	return changed, nil
}
