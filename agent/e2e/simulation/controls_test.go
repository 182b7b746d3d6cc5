package simulation

import (
	"cmp"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var allControls = flag.Bool("controls", false, "build and play every negative control, not only the first two")

// control is a promise taken out of the product. The stories must notice.
type control struct {
	name, file string
	old, new   string // a place that stands once in the file, and what replaces it
	says       string // in the failure
	first      string // seed of a story that shows it; empty: 1
}

var controls = []control{
	{
		name: "a hold whose grant was not heard is forgotten instead of given back",
		file: "agent/till/sale.go",
		old:  "if e := t.voidHold(tx, r, reason); e != nil {", new: "if e := error(nil); e != nil {",
		says: "holds", first: "50",
	},
	{
		name: "the centre does not remember how far it has a till's journal",
		file: "sync/central/ledger/ingest.go",
		old:  "if c == nil || !c.moved {", new: "if c != nil {",
		says: "seed",
	},
	{
		name: "the same call again is a new call",
		file: "agent/till/calls.go",
		old:  "if r, err := t.answered(c); r != nil || err != nil {", new: "if r, err := t.answered(c); err != nil {",
		says: "the same call again answers",
	},
}

// TestControls builds the product with a promise taken out, one at a time,
// and expects the stories to fail: a check that cannot fail checks nothing.
func TestControls(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the product anew for each control")
	}
	list := controls
	if !*allControls {
		list = controls[:2]
	}
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			root, err := filepath.Abs("../../..")
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(root, filepath.FromSlash(c.file))
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), c.old); n != 1 {
				t.Fatalf("%s: the place to change stands there %d times", c.file, n)
			}
			dir := t.TempDir()
			changed := filepath.Join(dir, "changed.go")
			if err := os.WriteFile(changed, []byte(strings.Replace(string(source), c.old, c.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-overlay", filepath.Join(dir, "overlay.json"), "-run", "^TestSeeds$", ".", "-seeds", "30", "-shorten=false", "-first", cmp.Or(c.first, "1"))
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("every story ended well without it")
			}
			if !strings.Contains(string(out), c.says) || strings.Contains(string(out), "build failed") {
				t.Fatalf("the stories failed, but not for want of it:\n%s", out)
			}
		})
	}
}
