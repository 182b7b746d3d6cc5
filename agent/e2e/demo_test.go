package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestDemo runs the first receipts of the demo with the real programs: cut
// cables, one kill of the centre and one of an agent, and both sides agree.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts eight programs")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the emulated devices need pseudo-terminals")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "../cmd/tillside", "../../sync/cmd/tillside-central", "../../drivers/cmd/tillbench", "./tilldemo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	slips := t.TempDir()
	out, err := exec.Command(filepath.Join(bin, "tilldemo"), "run", "-bin", bin, "-receipts", "300", "-slips", slips).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"SIGKILL of the centre", "SIGKILL of the agent", "Points earned", "Начислено баллов", "Zdobyte punkty", "came back at the next till", "agree to the hundredth of a point"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo does not say %q:\n%s", want, out)
		}
	}
	for _, language := range []string{"en", "ru", "pl"} {
		picture, err := os.ReadFile(filepath.Join(slips, "slip-"+language+".png"))
		if err != nil || len(picture) < 1000 {
			t.Errorf("picture of the %s slip: %d bytes, %v", language, len(picture), err)
		}
	}
}
