package main

import (
	"context"
	_ "embed"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tillside/tillside/agent/e2e/retail"
	"github.com/tillside/tillside/agent/e2e/world"
)

//go:embed rulebook.json
var rulebook []byte

// The three tills, one a language and one a paper width.
var shops = []struct {
	till, store, language string
	columns               int
}{
	{"1", "north", "en", 42},
	{"2", "south", "ru", 48},
	{"3", "harbour", "pl", 32},
}

// sampleCard is the card of a customer with many receipts.
var sampleCard = retail.Card("17850")

// openShops starts the centre, loads members and the rulebook, and sets up the
// tills. The world is given back also with an error, to be closed.
func openShops(ctx context.Context, out io.Writer, bin, dir string) (*world.World, error) {
	fmt.Fprintln(out, "starting the centre and three tills with emulated scanners, printers and displays …")
	w, err := world.New(ctx, bin, dir)
	if err != nil {
		return w, err
	}
	members, err := writeMembers(dir)
	if err != nil {
		return w, err
	}
	if _, err := w.Central(ctx, "members", "import", members); err != nil {
		return w, err
	}
	book := filepath.Join(dir, "rulebook.json")
	if err := os.WriteFile(book, rulebook, 0o600); err != nil {
		return w, err
	}
	if _, err := w.Central(ctx, "rulebook", "publish", book); err != nil {
		return w, err
	}
	for _, s := range shops {
		if _, err := w.AddTill(ctx, s.store, s.till, s.language, s.columns); err != nil {
			return w, err
		}
	}
	return w, nil
}

// First names for the greeting: the source has only numbers.
var firstNames = map[string][]string{
	"en": {"Alice", "Ben", "Chloe", "Daniel", "Emma", "Frank"},
	"ru": {"Анна", "Борис", "Вера", "Глеб", "Дарья", "Егор"},
	"pl": {"Agnieszka", "Błażej", "Zofia", "Łukasz", "Małgorzata", "Żaneta"},
}

// writeMembers makes the file that a loyalty manager would import.
func writeMembers(dir string) (string, error) {
	all, err := retail.Members()
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "members.csv")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	rows := csv.NewWriter(f)
	_ = rows.Write([]string{"card", "first_name", "language", "joined"}) // reported by Flush and Error
	for i, m := range all {
		language := shops[tillOf(m.ID, 0)].language
		_ = rows.Write([]string{retail.Card(m.ID), firstNames[language][i%6], language, m.FirstSeen.Format("2006-01-02")})
	}
	rows.Flush()
	if err := rows.Error(); err != nil {
		return "", err
	}
	return name, f.Close()
}

// tillOf says where a receipt is rung up: members keep to one shop, everybody
// else goes where it is their turn.
func tillOf(member string, turn int) int {
	if member == "" {
		return turn % len(shops)
	}
	sum := 0
	for _, c := range member {
		sum = sum*31 + int(c)
	}
	return sum % len(shops)
}
