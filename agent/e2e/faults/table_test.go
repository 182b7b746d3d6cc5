package faults

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// row is one line of the table.
type row struct {
	fault string // F1 to F25
	what  string
	did   string
	bad   int
}

type table struct {
	mu   sync.Mutex
	list []row
}

var rows table

// add takes the outcome of a test down.
func (t *table) add(fault, what, did string, bad int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, row{fault, what, did, bad})
}

func number(fault string) (n int) {
	_, _ = fmt.Sscanf(fault, "F%d", &n)
	return n
}

// print writes the table, with the rows that other rooms show.
func (t *table) print(file string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.list) == 0 {
		return nil
	}
	list := slices.Clone(t.list)
	for _, e := range elsewhere {
		list = append(list, row{e.fault, e.what, "shown by " + e.dir + " " + strings.Join(e.tests, ", "), -1})
	}
	slices.SortStableFunc(list, func(a, b row) int { return cmp.Compare(number(a.fault), number(b.fault)) })
	var b strings.Builder
	for _, r := range list {
		bad := fmt.Sprintf("%d bad", r.bad)
		if r.bad < 0 {
			bad = ""
		}
		fmt.Fprintf(&b, "%-4s %-62s %-8s %s\n", r.fault, r.what, bad, r.did)
	}
	fmt.Print("\n", b.String())
	if file == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

// elsewhere are the kinds of faults that tests of other rooms show.
var elsewhere = []struct {
	fault, what, dir string
	tests            []string
}{
	{"F8", "a device is unplugged: idle, while reading, while writing; comes back", "agent", []string{"TestPlugsArePulled"}},
	{"F9", "printer: no paper", "agent", []string{"TestSlipWaitsForPaper"}},
	{"F9", "printer: garbage for an answer", "drivers/escpos", []string{"TestGarbageAnswers"}},
	{"F9", "fiscal printer: whatever breaks, one receipt", "agent", []string{"TestFiscalReceiptOnceWhateverBreaks"}},
	{"F10", "two cards glued together", "drivers/card", []string{"TestGlued"}},
	{"F11", "many tills come back at once", "sync/linktest", []string{"TestHerd"}},
	{"F12", "messages lost, doubled, reordered, delayed, cut at every byte", "sync/linktest", []string{"TestCutAtEveryByte", "TestMessagesInAnyOrder", "TestModel"}},
	{"F12", "the whole system from one seed", "agent/e2e/simulation", []string{"TestSeeds", "TestControls"}},
	{"F13", "the acknowledgement is lost; killed before storing it", "sync/linktest", []string{"TestModel", "TestKills"}},
	{"F14", "clones and old images on the wire", "sync/linktest", []string{"TestClonesAreFoundOut", "TestTwoLiveTwins"}},
	{"F15", "something else answers: a captive portal, a proxy that refuses", "sync/linktest", []string{"TestSomethingElseAnswers", "TestThroughAProxy"}},
	{"F17", "rulebooks that must not come into force", "agent", []string{"TestOnlyGoodRulebooksComeIntoForce", "TestKeysRotateAndStolenOnesGo"}},
	{"F17", "flipped, huge and deeply nested bundles", "sync/trust", []string{"TestNothingFlippedIsBelieved", "TestLargeAndDeep", "TestBundleIsBelievedOnlyWhole"}},
	{"F18", "a web page on the till", "agent/till", []string{"TestHostileWebPage"}},
	{"F19", "somebody in between", "agent/e2e", []string{"TestManInTheMiddle", "TestProxyWithAStolenHelloGainsNothing"}},
	{"F20", "a centre that means harm", "sync/linktest", []string{"TestBadCentre"}},
	{"F21", "the cash program calls twice, at once, with another body", "agent/till", []string{"TestSameKeyOneEffect", "TestParallelCallsOneEffect", "TestReturnInParts", "TestHoldIsGivenBackAfterACrash"}},
}

// TestNamedTestsExist: what the table points to is there.
func TestNamedTestsExist(t *testing.T) {
	for _, e := range elsewhere {
		files, err := filepath.Glob(filepath.Join("../../..", filepath.FromSlash(e.dir), "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: no tests in %s", e.fault, e.dir)
			continue
		}
		var all strings.Builder
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(b)
		}
		for _, name := range e.tests {
			if !strings.Contains(all.String(), "func "+name+"(t *testing.T)") {
				t.Errorf("%s: %s has no %s", e.fault, e.dir, name)
			}
		}
	}
}
