package linktest_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/tillside/tillside/sync/uplink"
)

// wayOut is an HTTP proxy as shops have them at the way out: it opens tunnels
// and nothing else. It counts them, and closes when told.
func wayOut(t *testing.T, open *atomic.Bool) (*url.URL, *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tunnels := &atomic.Int64{}
	serve := func(c net.Conn) {
		defer c.Close()
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		if r.Method != http.MethodConnect || !open.Load() {
			_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
			return
		}
		far, err := net.Dial("tcp", r.Host)
		if err != nil {
			return
		}
		defer far.Close()
		tunnels.Add(1)
		_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() {
			_, _ = io.Copy(far, c)
			far.Close()
		}()
		_, _ = io.Copy(c, far)
	}
	done := make(chan struct{})
	conns := make(chan net.Conn, 64)
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- c
			go serve(c)
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
		close(conns)
		for c := range conns {
			c.Close()
		}
	})
	return &url.URL{Scheme: "http", Host: ln.Addr().String()}, tunnels
}

// TestThroughAProxy: the way out of the shop is a proxy. While it refuses, the
// till sells; then everything goes through it.
func TestThroughAProxy(t *testing.T) {
	var open atomic.Bool
	proxy, tunnels := wayOut(t, &open)
	c := newCentre(t, nil, nil)
	tl := newTill(t, c, 1, func(cfg *uplink.Config) {
		cfg.Proxy = func(*http.Request) (*url.URL, error) { return proxy, nil }
	})
	tl.url = "ws://" + c.addr
	for range 20 {
		if _, err := tl.Sell("m", 1); err != nil {
			t.Fatal(err)
		}
	}
	tl.start()
	until(t, "the proxy's refusal is told", func() bool { return tl.sess.State().LastError != "" })
	if _, err := tl.Sell("m", 1); err != nil {
		t.Fatal(err)
	}
	open.Store(true)
	until(t, "drained", tl.drained)
	if tunnels.Load() == 0 {
		t.Error("the till found another way")
	}
	tl.stop()
	agree(t, c, tl)
}
