package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDocumentedCallsWork runs the commands of agent/docs/api.md, as they
// stand there, against a real agent.
func TestDocumentedCallsWork(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("no " + tool + " here")
		}
	}
	doc, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	dir, token := testFolder(t)
	p := start(t, dir)
	script := "set -eu\n"
	calls := 0
	for i, block := range strings.Split(string(doc), "```") {
		if code, ok := strings.CutPrefix(block, "sh\n"); ok && i%2 == 1 {
			calls += strings.Count(code, "curl ")
			// Each call must succeed; curl itself does not look at the status.
			script += strings.ReplaceAll(code, "curl -s ", "curl -s --fail-with-body -w '\\n' ")
		}
	}
	if calls < 10 {
		t.Fatalf("only %d calls found in the document", calls)
	}
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "BASE="+p.addr, "TOKEN="+token, "no_proxy=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"first_name":"Anna"`, `"state":"held"`, `"state":"captured"`, `"state":"voided"`, `"state":"partly_returned"`, `"agrees":true`, `"exchange":{"return":`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the answers lack %s\n%s", want, out)
		}
	}
	p.stop()
}
