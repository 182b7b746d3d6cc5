package fiscaltest

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
)

// Terminal puts an emulated printer on a pseudo-terminal for the time of a test
// and gives the name to open. Linux only.
func Terminal(t *testing.T, p fiscal.Printer) (port string) {
	t.Helper()
	port = filepath.Join(t.TempDir(), "printer")
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	ready := make(chan struct{}, 1)
	failed := make(chan error, 1)
	wg.Add(1)
	go func() {
		defer wg.Done()
		failed <- fiscal.OnPty(ctx, p, port, func() {
			select {
			case ready <- struct{}{}:
			default: // plugged in again
			}
		})
	}()
	t.Cleanup(func() { cancel(); wg.Wait() })
	select {
	case <-ready:
	case err := <-failed:
		t.Fatalf("a pseudo-terminal for the printer: %v", err)
	}
	return port
}
