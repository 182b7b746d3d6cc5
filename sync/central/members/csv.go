package members

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/ledger"
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
