package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/e2e/world"
)

// BenchmarkAgentRatio holds the agent's size, start and idle memory against a
// program of the five packages it is built on and nothing else.
func BenchmarkAgentRatio(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("memory is read from /proc")
	}
	bin := b.TempDir()
	for name, pkg := range map[string]string{"tillside": "../cmd/tillside", "peer": "./testdata/peer"} {
		cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", filepath.Join(bin, name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	ours := started{path: filepath.Join(bin, "tillside"), args: func(dir string) []string { return []string{"run", "--data", dir, "--listen", "127.0.0.1:0"} }}
	theirs := started{path: filepath.Join(bin, "peer"), args: func(dir string) []string { return []string{dir} }}
	for b.Loop() {
		for range 11 { // by turns: a noisy machine treats both alike
			ours.once(b)
			theirs.once(b)
		}
		b.ReportMetric(median(ours.start)/median(theirs.start), "x-start")
		b.ReportMetric(median(ours.start), "ms-start")
		b.ReportMetric(median(ours.rss)/median(theirs.rss), "x-memory")
		b.ReportMetric(median(ours.rss)/1024, "MiB-memory")
		b.ReportMetric(size(b, ours.path)/size(b, theirs.path), "x-size")
		b.ReportMetric(size(b, ours.path), "MB-size")
	}
}

type started struct {
	path       string
	args       func(dir string) []string
	start, rss []float64 // ms until it answers, KiB at rest
}

func (s *started) once(b *testing.B) {
	dir := b.TempDir()
	cmd := exec.Command(s.path, s.args(dir)...)
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed on purpose
	}()
	answered := func() (bool, error) {
		address, err := os.ReadFile(filepath.Join(dir, "address"))
		if err != nil || len(address) == 0 {
			return false, nil
		}
		resp, err := http.Get("http://" + strings.TrimSpace(string(address)) + "/healthz")
		if err != nil {
			return false, nil
		}
		return true, resp.Body.Close()
	}
	if err := world.Wait(context.Background(), 20*time.Second, answered); err != nil {
		b.Fatal(err)
	}
	s.start = append(s.start, float64(time.Since(begin).Microseconds())/1000)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatalf("read VmRSS: %v", err)
	}
	s.rss = append(s.rss, kib)
}

func median(all []float64) float64 {
	s := slices.Clone(all)
	slices.Sort(s)
	return s[len(s)/2]
}

func size(b *testing.B, path string) float64 {
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return float64(info.Size()) / 1e6
}
