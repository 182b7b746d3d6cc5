package linktest_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/hub/hubtest"
	"github.com/tillside/tillside/sync/linktest"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/uplink/uplinktest"
	"github.com/tillside/tillside/sync/wire"
)

var kills = flag.Int("kills", 0, "kill test: how many (0: a few)")

// Children of the kill test are this test program with a role.
const (
	roleVar   = "LINKTEST_ROLE" // till or centre
	fileVar   = "LINKTEST_FILE"
	centreVar = "LINKTEST_CENTRE" // host:port for the till
)

var killed = outbox.Identity{Device: uplinktest.DeviceID(1), Epoch: 1}

// TestKillChild is not a test of its own: it is what the children run.
func TestKillChild(t *testing.T) {
	switch os.Getenv(roleVar) {
	case "till":
		childTill()
	case "centre":
		childCentre()
	default:
		t.Skip("runs in the children of TestKills")
	}
}

// childTill sells without a pause, and prints the place of each record after
// its commit: that is what a customer was told.
func childTill() {
	tl, err := uplinktest.Open(os.Getenv(fileVar), killed, uplinktest.Key(killed.Device))
	if err == nil {
		err = tl.Box.Verify()
	}
	if err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
	s, err := uplink.New(uplink.Config{URL: "ws://" + os.Getenv(centreVar), Key: tl.Key, Outbox: tl.Box, Applier: tl, Timing: quickTill(), Log: logger()})
	if err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
	go func() { _ = s.Run(context.Background()) }()
	for n := int64(1); ; n++ {
		a, err := tl.Sell("m", n%7+1)
		if err != nil {
			fmt.Println("FAILED", err)
			os.Exit(1)
		}
		fmt.Println("TOLD", a.Seq)
		time.Sleep(time.Duration(n%5) * 200 * time.Microsecond)
	}
}

func childCentre() {
	store, err := hubtest.Open(os.Getenv(fileVar))
	if err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
	h, err := hub.New(hub.Config{Backend: store, Timing: quickHub(), Log: logger()})
	if err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
	fmt.Println("AT", ln.Addr())
	mux := http.NewServeMux()
	mux.Handle(wire.SyncPath, h)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	fmt.Println("FAILED", srv.Serve(ln))
}

// child is a running process of ours.
type child struct {
	cmd  *exec.Cmd
	at   chan string   // the centre's address
	told atomic.Uint64 // the till's last told place
	fail atomic.Pointer[string]
	done chan struct{}
}

func spawn(t testing.TB, test, role, file, addr string) *child {
	t.Helper()
	c := &child{at: make(chan string, 1), done: make(chan struct{})}
	c.cmd = exec.Command(os.Args[0], "-test.run="+test)
	c.cmd.Env = append(os.Environ(), roleVar+"="+role, fileVar+"="+file, centreVar+"="+addr)
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			word, rest, _ := strings.Cut(sc.Text(), " ")
			switch word {
			case "AT":
				c.at <- rest
			case "TOLD":
				n, _ := strconv.ParseUint(rest, 10, 64)
				c.told.Store(n)
			case "FAILED":
				c.fail.Store(&rest)
			}
		}
	}()
	return c
}

// kill is SIGKILL; it returns after the process is gone and its last words
// are read.
func (c *child) kill(t testing.TB) {
	t.Helper()
	if f := c.fail.Load(); f != nil {
		t.Fatalf("a child failed: %s", *f)
	}
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.done
	_ = c.cmd.Wait() // "killed", as meant
	if f := c.fail.Load(); f != nil {
		t.Fatalf("a child failed: %s", *f)
	}
}

// TestKills kills the till's and the centre's processes in a loop under load.
// What was told is there after the next start; what was confirmed is at the
// centre; in the end both sides agree.
func TestKills(t *testing.T) {
	n := *kills
	if n == 0 {
		n = 16
		if testing.Short() {
			n = 6
		}
	}
	dir := t.TempDir()
	journal, file := filepath.Join(dir, "journal.db"), filepath.Join(dir, "centre.log")
	store, err := hubtest.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Enrol(hub.Device{ID: killed.Device, Epoch: 1, Key: uplinktest.Key(killed.Device).Public().(ed25519.PublicKey)}); err != nil {
		t.Fatal(err)
	}
	store.Kill()
	proxy, err := linktest.Listen("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	startCentre := func() *child {
		c := spawn(t, "^TestKillChild$", "centre", file, "")
		select {
		case addr := <-c.at:
			proxy.Retarget(addr)
		case <-time.After(patience):
			t.Fatal("the centre does not start")
		}
		return c
	}
	far := startCentre()
	near := spawn(t, "^TestKillChild$", "till", journal, proxy.Addr())
	r := rand.New(rand.NewPCG(*seed+1, 3))
	told := uint64(0)
	for i := range n {
		time.Sleep(time.Duration(5+r.IntN(60)) * time.Millisecond)
		if r.IntN(3) == 0 {
			far.kill(t)
			far = startCentre()
			continue
		}
		// Let it sell something: a process that is killed while it starts
		// proves little.
		if r.IntN(4) > 0 {
			until(t, "the till sells", func() bool { return near.told.Load() > 0 || near.fail.Load() != nil })
		}
		near.kill(t)
		told = max(told, near.told.Load())
		tl, err := uplinktest.Open(journal, killed, uplinktest.Key(killed.Device))
		if err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		head, err := tl.Box.Head()
		if err == nil {
			err = tl.Box.Verify()
		}
		tl.Close()
		if err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		if head.Seq < told {
			t.Fatalf("kill %d: the till told of record %d, its journal ends at %d", i, told, head.Seq)
		}
		near = spawn(t, "^TestKillChild$", "till", journal, proxy.Addr())
	}
	near.kill(t)
	far.kill(t)
	// Look at both files as they were left, then let the rest go over.
	cc := &centre{t: t, path: file}
	cc.start()
	defer cc.stop()
	tl := &till{t: t, path: journal, id: killed, url: "ws://" + cc.addr}
	tl.open()
	defer tl.Till.Close()
	tl.start()
	until(t, "drained", tl.drained)
	tl.stop()
	agree(t, cc, tl)
	if al := cc.store.Alarms(); len(al) > 0 {
		t.Errorf("alarm without a reason: %+v", al[0])
	}
	st, _ := tl.Box.Stats()
	t.Logf("%d kills, %d records, none lost, none doubled", n, st.Head.Seq)
}
