package world

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is one of our programs at work. It can be killed and started again
// with the same words, as a service manager would.
type Process struct {
	Name    string
	Path    string
	Args    []string
	LogFile string // standard output and error, appended over restarts
	Ready   func() bool

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

// Start runs the program and waits until Ready says so.
func (p *Process) Start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the exit code is in the log's last line; being gone is what counts here
		close(done)
	}()
	p.cmd, p.done = cmd, done
	err = Wait(ctx, 30*time.Second, func() (bool, error) {
		select {
		case <-done:
			return false, fmt.Errorf("%s ended at once; its log says:\n%s", p.Name, tail(p.LogFile))
		default:
			return p.Ready == nil || p.Ready(), nil
		}
	})
	if err != nil {
		_ = cmd.Process.Kill()
		<-done
		return fmt.Errorf("wait for %s: %w", p.Name, err)
	}
	return nil
}

// Pid is the number of the running process; 0: none runs.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Kill ends the program as a power cut would: SIGKILL, no warning.
func (p *Process) Kill() { p.end(syscall.SIGKILL, 0) }

// Stop asks the program to finish and waits; after ten seconds it is killed.
func (p *Process) Stop() { p.end(syscall.SIGTERM, 10*time.Second) }

func (p *Process) end(sig os.Signal, patience time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(sig) // an error means that it is gone already
	if patience > 0 {
		select {
		case <-p.done:
		case <-time.After(patience):
			_ = p.cmd.Process.Kill()
		}
	}
	<-p.done
	p.cmd = nil
}

// Run executes one command of a program to its end and gives its output.
func Run(ctx context.Context, path string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(path), strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}

// Wait asks until the answer is yes, an error, or too late.
func Wait(ctx context.Context, atMost time.Duration, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := ask()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// readAddress reads the address file a program writes into its data folder.
func readAddress(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "address"))
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(strings.TrimSpace(string(b)), "http://")
}

func tail(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	if len(b) > 2000 {
		b = b[len(b)-2000:]
	}
	return string(b)
}
