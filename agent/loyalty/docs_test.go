package loyalty_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
)

// TestReferenceFile: the written reference is the one of this engine. To
// renew it: (printf '# Rulebook reference\n'; tillside rulebook schema --markdown) > reference.md
func TestReferenceFile(t *testing.T) {
	got, err := os.ReadFile("docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "# Rulebook reference\n" + loyalty.Reference(); string(got) != want {
		t.Error("docs/reference.md is old")
	}
}

// TestGuideExamples: the examples of the guide are what the engine reads.
func TestGuideExamples(t *testing.T) {
	text, err := os.ReadFile("docs/rulebook.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) < 5 {
		t.Fatalf("%d examples", len(blocks))
	}
	doc, err := loyalty.Decode(blocks[0][1])
	if err != nil {
		t.Fatal(err)
	}
	rb, err := loyalty.Compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	r, err := loyalty.DecodeReceipt(blocks[1][1])
	if err != nil {
		t.Fatal(err)
	}
	m, err := loyalty.DecodeMember(blocks[2][1])
	if err != nil {
		t.Fatal(err)
	}
	res, err := rb.Price(loyalty.Input{Receipt: r, Member: m, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	is(t, "net", res.Totals.Net.String(), "2.70")
	is(t, "earned", earned(res).String(), "2.70")
	var rule loyalty.Rule
	if err := loyalty.Unmarshal(blocks[3][1], &rule, loyalty.DocumentLimits); err != nil {
		t.Error(err)
	}
	var sel loyalty.Select
	if err := loyalty.Unmarshal(blocks[4][1], &sel, loyalty.DocumentLimits); err != nil {
		t.Error(err)
	}
	// The tables: every example in backquotes that is an object.
	n := 0
	for _, m := range regexp.MustCompile("`(\\{\"[^`]*\\})`").FindAllSubmatch(text, -1) {
		example := strings.ReplaceAll(string(m[1]), "{...}", "{}")
		var c loyalty.Condition
		var w loyalty.Reward
		if loyalty.Unmarshal([]byte(example), &c, loyalty.DocumentLimits) != nil && loyalty.Unmarshal([]byte(example), &w, loyalty.DocumentLimits) != nil &&
			!strings.Contains(example, "\"en\": \"Hello\"") && !strings.Contains(example, "budgets") && !strings.Contains(example, "days_before") && !strings.Contains(example, "whole_month") {
			t.Errorf("neither condition nor reward: %s: %v", example, loyalty.Unmarshal([]byte(example), &w, loyalty.DocumentLimits))
		}
		n++
	}
	if n < 40 {
		t.Errorf("only %d examples in the tables", n)
	}
}
