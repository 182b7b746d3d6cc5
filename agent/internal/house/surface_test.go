package house

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	named   = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	defined = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
)

// TestAttackSurfaceNamesTestsThatExist: what the document says is shown, is; and
// every threat has something that shows its answer.
func TestAttackSurfaceNamesTestsThatExist(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root, "agent", "docs", "attack-surface.md"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for dir := range tree {
		files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range defined.FindAllSubmatch(b, -1) {
				there[string(m[1])] = true
			}
		}
	}
	names := named.FindAllSubmatch(doc, -1)
	if len(names) < 20 {
		t.Errorf("only %d tests are named", len(names))
	}
	for _, m := range names {
		if !there[string(m[1])] {
			t.Errorf("%s is named and does not exist", m[1])
		}
	}
	_, threats, ok := bytes.Cut(doc, []byte("## Threats and answers"))
	threats, _, ok2 := bytes.Cut(threats, []byte("\n\nFrauds"))
	if !ok || !ok2 {
		t.Fatal("the table of threats is gone")
	}
	rows := 0
	for line := range bytes.Lines(threats) {
		if !bytes.HasPrefix(line, []byte("| ")) || bytes.HasPrefix(line, []byte("| ---")) || bytes.HasPrefix(line, []byte("| who,")) {
			continue
		}
		if rows++; !named.Match(line) {
			t.Errorf("no test shows the answer to: %.80s", line)
		}
	}
	if rows < 13 {
		t.Errorf("%d threats", rows)
	}
}
