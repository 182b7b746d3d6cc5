package members_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/wire"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type fixture struct {
	t    *testing.T
	db   *db.DB
	room *members.Room
}

func open(t *testing.T) *fixture {
	t.Helper()
	d, err := db.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	now := func() time.Time { return noon }
	return &fixture{t, d, &members.Room{Ledger: &ledger.Ledger{Now: now, Zone: time.UTC}, Now: now}}
}

func (f *fixture) write(fn func(tx *db.Tx) error) {
	f.t.Helper()
	if err := f.db.Write(f.t.Context(), fn); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) search(text string) (all []members.Member) {
	f.t.Helper()
	err := f.db.Read(f.t.Context(), func(tx *db.Tx) (err error) { all, err = f.room.Search(tx, text, 50); return err })
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

func (f *fixture) snapshot(id loyalty.MemberID) (item wire.MemberItem, m loyalty.Member) {
	f.t.Helper()
	err := f.db.Read(f.t.Context(), func(tx *db.Tx) error {
		items, err := f.room.Snapshots(tx, []loyalty.MemberID{id})
		item = items[0]
		return err
	})
	if err == nil && item.Snapshot != nil {
		err = json.Unmarshal(item.Snapshot, &m)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return item, m
}

func (f *fixture) imports(csv string, o members.ImportOptions) (members.Imported, error) {
	f.t.Helper()
	return f.room.Import(f.t.Context(), f.db, strings.NewReader(csv), o)
}

const people = "\ufeffExternal_ID,card,phone,first_name,last_name,email,birthday,language,joined,segments,tier,balance,attribute:shoe_size\n" +
	"1,4000 1234,+48 501-002-003,Ada,Nowak,Ada@Example.org,1985-12-10,pl,2020-01-02,women;vip,silver,12.50,38\n" +
	"2,,,Ивáн,Петров,,03-08,ru,,,,,\n" +
	"3,40005678,,,,,,,,,,0,\n"

func TestImportTwiceIsImportOnce(t *testing.T) {
	f := open(t)
	sum, err := f.imports(people, members.ImportOptions{})
	if err != nil || sum != (members.Imported{Rows: 3, Added: 3}) {
		t.Fatalf("%+v, %v", sum, err)
	}
	sum, err = f.imports(people, members.ImportOptions{})
	if err != nil || sum != (members.Imported{Rows: 3, Unchanged: 3}) {
		t.Fatalf("again: %+v, %v", sum, err)
	}
	for _, by := range []string{"4000-1234", "+48501002003", "ADA@example.org", "1", "nowak", "Nowak  Ada", "ada"} {
		if all := f.search(by); len(all) != 1 || all[0].External != "1" {
			t.Errorf("search by %q: %+v", by, all)
		}
	}
	if all := f.search("%"); len(all) != 0 {
		t.Errorf("a percent sign finds %d members", len(all))
	}
	item, m := f.snapshot(f.search("4000 1234")[0].ID)
	if item.Do != wire.MemberPut || len(item.Refs) != 2 {
		t.Fatalf("%+v", item)
	}
	b, _ := json.Marshal(m)
	want := `"first_name":"Ada","language":"pl","card":{},"tier":"silver","tier_since":"2026-11-23","wallets":{"points":{"active":"12.50"}},"segments":["women","vip"],"birthday":"12-10","joined":"2020-01-02","attributes":{"shoe_size":"38"},"as_of":"2026-11-23T12:00:00Z"}`
	if !strings.HasSuffix(string(b), strings.Replace(want, `"card":{},`, "", 1)) {
		t.Errorf("snapshot\n%s, want at the end\n%s", b, want)
	}
	for _, secret := range []string{"Nowak", "example.org", "501002003", "1985", "40001234"} {
		if raw, _ := json.Marshal(item); strings.Contains(string(raw), secret) {
			t.Errorf("a till would be told %q", secret)
		}
	}
}

func TestImportTakesChangesAndLeavesTheRest(t *testing.T) {
	f := open(t)
	if _, err := f.imports(people, members.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	sum, err := f.imports("card,first_name,balance,email\n40001234,Adele,99,\n", members.ImportOptions{})
	if err != nil || sum.Changed != 1 || sum.Added != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	all := f.search("40001234")
	if p := all[0].Person; p.FirstName != "Adele" || p.LastName != "Nowak" || p.Email != "ada@example.org" || len(p.Segments) != 2 {
		t.Errorf("%+v", p)
	}
	if _, m := f.snapshot(all[0].ID); m.Wallets["points"].Active != 1250 {
		t.Errorf("the opening balance was booked again: %v", m.Wallets)
	}
}

func TestImportTellsEveryProblemAndWritesNothing(t *testing.T) {
	f := open(t)
	_, err := f.imports("external_id,card,phone,birthday,balance,language,email,card_status\n"+
		"1,4000,,,,,,\n"+
		"1,4001,,,,,,\n"+
		"3,4000,,,,,,\n"+
		"4,ab,12,1985-13-01,-5,polish,nobody,gone\n"+
		"5,4005\n"+
		",,,,,,,\n"+
		"7,\"40\"07,,,,,,\n", members.ImportOptions{})
	var p members.RowProblems
	if !errors.As(err, &p) {
		t.Fatalf("got %v", err)
	}
	lines := map[int]int{}
	for _, x := range p {
		lines[x.Line]++
	}
	if want := map[int]int{3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1}; fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("problems per line %v, want %v:\n%v", lines, want, err)
	}
	for _, word := range []string{"external_id 1 is already on line 2", "card 4000 is already on line 2", "birthday", "balance", "language", "email", "card_status", "card status", "phone"} {
		if word != "card_status" && !strings.Contains(err.Error(), word) {
			t.Errorf("nothing about %q in:\n%v", word, err)
		}
	}
	if all := f.search(""); len(all) != 0 {
		t.Errorf("%d members were written", len(all))
	}
	for name, head := range map[string]string{"unknown": "external_id,colour\n", "twice": "card,card\n", "nothing to know by": "first_name\n"} {
		if _, err := f.imports(head, members.ImportOptions{}); !errors.As(err, &p) {
			t.Errorf("header %s: %v", name, err)
		}
	}
}

func TestImportOfAnothersCardStops(t *testing.T) {
	f := open(t)
	if _, err := f.imports("external_id,card\n1,4000\n", members.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := f.imports("external_id,card\n9,4009\n2,4000\n", members.ImportOptions{})
	if !errors.Is(unwrapRow(err), members.ErrTaken) {
		t.Errorf("got %v", err)
	}
}

func unwrapRow(err error) error {
	var p members.RowProblems
	if errors.As(err, &p) {
		return p[0].Err
	}
	return err
}

func TestMakeCards(t *testing.T) {
	f := open(t)
	var made []string
	o := members.ImportOptions{MakeCards: true, Made: func(m members.Member) error {
		for _, c := range m.Cards {
			if c.Kind == wire.KindCard {
				made = append(made, c.Number)
			}
		}
		return nil
	}}
	var csv bytes.Buffer
	csv.WriteString("external_id,card\n")
	for i := range 600 { // more than one transaction
		fmt.Fprintf(&csv, "%d,\n", i)
	}
	csv.WriteString("x,4000\n")
	sum, err := f.imports(csv.String(), o)
	if err != nil || sum.Cards != 600 || len(made) != 600 {
		t.Fatalf("%+v, %d told, %v", sum, len(made), err)
	}
	for _, n := range made[:50] {
		odd, even := 0, 0
		for i, c := range n {
			if i%2 == 0 {
				odd += int(c - '0')
			} else {
				even += int(c - '0')
			}
		}
		if len(n) != 13 || n[:2] != "27" || (odd+3*even)%10 != 0 {
			t.Fatalf("%s does not scan as an EAN of the shop's own range", n)
		}
	}
	if sum, err := f.imports(csv.String(), o); err != nil || sum.Cards != 0 || sum.Unchanged != 601 {
		t.Errorf("again: %+v, %v", sum, err)
	}
}

func TestLostCardKeepsTheBalance(t *testing.T) {
	f := open(t)
	if _, err := f.imports("external_id,card,balance\n1,4000,10\n2,4001,\n", members.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	m := f.search("4000")[0]
	old := m.Cards[0].Ref
	var fresh string
	f.write(func(tx *db.Tx) (err error) { fresh, err = f.room.Reissue(tx, old, ""); return err })
	again := f.search(fresh)
	if len(again) != 1 || again[0].ID != m.ID {
		t.Fatalf("the new card leads to %+v", again)
	}
	item, s := f.snapshot(m.ID)
	status := map[wire.Ref]string{}
	for _, r := range item.Refs {
		status[r.Ref] = r.Status
	}
	if status[old] != "lost" || len(status) != 2 || s.Wallets["points"].Active != 1000 {
		t.Errorf("refs %v, wallets %v", status, s.Wallets)
	}
	err := f.db.Write(t.Context(), func(tx *db.Tx) error { _, err := f.room.Reissue(tx, old, "4001"); return err })
	if !errors.Is(err, members.ErrTaken) {
		t.Errorf("another member's card as the new one: %v", err)
	}
	err = f.db.Write(t.Context(), func(tx *db.Tx) error { return f.room.SetStatus(tx, wire.Ref{1}, "blocked") })
	if !errors.Is(err, members.ErrUnknown) {
		t.Errorf("an unknown card: %v", err)
	}
	f.write(func(tx *db.Tx) error {
		var n int
		_, err := tx.Row(`SELECT COUNT(*) FROM urgent WHERE kind = 'stop' AND ref = ?`, []any{old[:]}, &n)
		if n != 1 {
			t.Errorf("the stop-list has the card %d times", n)
		}
		return err
	})
}

func TestSnapshotsOfNobodyAreDrops(t *testing.T) {
	f := open(t)
	item, _ := f.snapshot(77)
	if item.Do != wire.MemberDrop || item.Member != loyalty.MemberID(77).String() || item.Snapshot != nil {
		t.Errorf("%+v", item)
	}
}
