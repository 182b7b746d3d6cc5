package linktest_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/sync/hub"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/uplink"
	"github.com/tillside/tillside/sync/uplink/uplinktest"
	"github.com/tillside/tillside/sync/wire"
)

// badCentre answers tills as its script says, after a proper WELCOME.
func badCentre(t *testing.T, script func(send func(wire.Frame), ws *websocket.Conn)) (*till, *atomic.Int64) {
	t.Helper()
	var sessions atomic.Int64
	up := websocket.Upgrader{Subprotocols: []string{wire.Subprotocol}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		send := func(f wire.Frame) {
			msg, bin, err := wire.EncodeFrame(f)
			if err != nil {
				t.Error(err)
				return
			}
			kind := websocket.TextMessage
			if bin {
				kind = websocket.BinaryMessage
			}
			_ = ws.WriteMessage(kind, msg)
		}
		send(&wire.Challenge{Nonce: make([]byte, wire.NonceSize), Version: 1, MinVersion: 1, SendMS: time.Now().UnixMilli()})
		if _, _, err := ws.ReadMessage(); err != nil {
			return
		}
		sessions.Add(1)
		script(send, ws)
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	id := outbox.Identity{Device: uplinktest.DeviceID(1), Epoch: 1}
	tl := &till{t: t, path: filepath.Join(t.TempDir(), "j.db"), id: id, url: "ws" + strings.TrimPrefix(srv.URL, "http")}
	tl.open()
	t.Cleanup(func() { tl.stop(); tl.Till.Close() })
	if err := tl.SellMany("m", 1, 50); err != nil {
		t.Fatal(err)
	}
	tl.start()
	return tl, &sessions
}

// TestBadCentre: whatever the centre sends, the till goes on, its journal is
// as it was, and it tries again later.
func TestBadCentre(t *testing.T) {
	welcome := func(send func(wire.Frame)) { send(&wire.Welcome{Version: 1, SessionNo: 1, Window: 4}) }
	text := func(s string) func(func(wire.Frame), *websocket.Conn) {
		return func(send func(wire.Frame), ws *websocket.Conn) {
			welcome(send)
			_ = ws.WriteMessage(websocket.TextMessage, []byte(s))
		}
	}
	cases := map[string]func(send func(wire.Frame), ws *websocket.Conn){
		"no JSON":          text("hello"),
		"deep JSON":        text(strings.Repeat("[", 100_000)),
		"2 MiB":            text(`{"kind":"BYE","reason":"` + strings.Repeat("x", 2<<20) + `"}`),
		"hello from above": text(`{"kind":"HELLO"}`),
		"negative number":  text(`{"kind":"ACK","seq":-1}`),
		"binary noise": func(send func(wire.Frame), ws *websocket.Conn) {
			welcome(send)
			_ = ws.WriteMessage(websocket.BinaryMessage, bytes.Repeat([]byte{2, 0xff}, 1000))
		},
		"confirms the future": func(send func(wire.Frame), ws *websocket.Conn) {
			welcome(send)
			send(&wire.Ack{Seq: 1 << 60, Hash: wire.HashOf(nil)})
		},
		"confirms another record": func(send func(wire.Frame), ws *websocket.Conn) {
			welcome(send)
			_, _, _ = ws.ReadMessage()
			send(&wire.Ack{Seq: 20, Hash: wire.HashOf(nil)})
		},
		"wants the future": func(send func(wire.Frame), ws *websocket.Conn) {
			welcome(send)
			send(&wire.Nack{Expected: 1 << 60})
		},
		"endless NACK": func(send func(wire.Frame), ws *websocket.Conn) {
			welcome(send)
			for range 5000 {
				send(&wire.Nack{Expected: 1})
			}
			ws.Close()
		},
		"endless feed": func(send func(wire.Frame), ws *websocket.Conn) {
			welcome(send)
			for i := range uint64(5000) {
				send(&wire.Feed{Lane: wire.LaneMember, After: i, Upto: i + 1, Items: []json.RawMessage{json.RawMessage(`{}`)}})
			}
			ws.Close()
		},
		"answers nobody asked for": func(send func(wire.Frame), ws *websocket.Conn) {
			welcome(send)
			for i := range uint64(1000) {
				send(&wire.Answer{ID: i})
			}
			ws.Close()
		},
		"a time of its own": func(send func(wire.Frame), ws *websocket.Conn) {
			welcome(send)
			send(&wire.TimeIs{AskMS: 1, RecvMS: -1 << 60, SendMS: 1 << 62})
			ws.Close()
		},
		"has a journal of its own": func(send func(wire.Frame), ws *websocket.Conn) {
			send(&wire.Welcome{Version: 1, SessionNo: 1, Window: 4, Acked: wire.Head{Seq: 30, Hash: wire.HashOf(nil)}})
		},
		"a huge window": func(send func(wire.Frame), ws *websocket.Conn) {
			send(&wire.Welcome{Version: 1, SessionNo: 1, Window: 1 << 30})
			ws.Close()
		},
		"sleep for ever": func(send func(wire.Frame), ws *websocket.Conn) {
			welcome(send)
			send(&wire.Slow{AfterMS: 1 << 62})
			ws.Close()
		},
		"come back never": func(send func(wire.Frame), ws *websocket.Conn) {
			send(&wire.Refuse{Code: wire.RefuseBusy, AfterMS: -1 << 62})
		},
		"no welcome": func(send func(wire.Frame), ws *websocket.Conn) { send(&wire.Ack{Seq: 1}); ws.Close() },
	}
	for name, script := range cases {
		t.Run(name, func(t *testing.T) {
			tl, sessions := badCentre(t, script)
			until(t, "comes back", func() bool { return sessions.Load() >= 2 })
			tl.stop()
			if err := tl.Box.Verify(); err != nil {
				t.Error(err)
			}
			st, err := tl.Box.Stats()
			if err != nil || st.Acked.Seq > st.Head.Seq {
				t.Errorf("%+v %v", st, err)
			}
			if _, err := tl.Sell("m", 1); err != nil {
				t.Errorf("the till cannot sell: %v", err)
			}
		})
	}
}

// TestSomethingElseAnswers: a captive portal, a web server, a mute port.
func TestSomethingElseAnswers(t *testing.T) {
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>please log in</html>"))
	}))
	defer portal.Close()
	plain := websocket.Upgrader{}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws, err := plain.Upgrade(w, r, nil); err == nil {
			ws.Close()
		}
	}))
	defer other.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, addr := range map[string]string{"portal": portal.Listener.Addr().String(), "other websocket": other.Listener.Addr().String(),
		"mute": mute.Addr().String(), "nobody": "127.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			tl := &till{t: t, path: filepath.Join(t.TempDir(), "j.db"), id: outbox.Identity{Device: uplinktest.DeviceID(1), Epoch: 1}, url: "ws://" + addr,
				opts: func(c *uplink.Config) { c.Timing.Hello = 100 * time.Millisecond }}
			tl.open()
			defer tl.Till.Close()
			tl.start()
			defer tl.stop()
			until(t, "several attempts", func() bool { st := tl.sess.State(); return st.Attempts >= 3 && st.LastError != "" })
		})
	}
}

// TestStrangersAtTheHub: nothing but a till gets further than HELLO, and
// nobody stays without saying who he is.
func TestStrangersAtTheHub(t *testing.T) {
	c := newCentre(t, nil, nil)
	url := "ws://" + c.addr + wire.SyncPath
	dial := func(h http.Header) (*websocket.Conn, *http.Response, error) {
		d := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: 5 * time.Second}
		return d.Dial(url, h)
	}
	for _, origin := range []string{"http://evil.example", "null", "http://" + c.addr, ""} {
		if _, resp, err := dial(http.Header{"Origin": {origin}}); err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("a browser from %q: %v", origin, err)
		}
	}
	if resp, err := http.Get("http://" + c.addr + wire.SyncPath); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP: %v %v", resp, err)
	} else {
		resp.Body.Close()
	}
	sends := map[string]func(ws *websocket.Conn){
		"noise":  func(ws *websocket.Conn) { _ = ws.WriteMessage(websocket.BinaryMessage, []byte("noise")) },
		"17 KiB": func(ws *websocket.Conn) { _ = ws.WriteMessage(websocket.TextMessage, make([]byte, 17<<10)) },
		"a push": func(ws *websocket.Conn) { _ = ws.WriteMessage(websocket.TextMessage, []byte(`{"kind":"ASK","id":1}`)) },
		"unknown frames": func(ws *websocket.Conn) {
			for range 20 {
				_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"kind":"X"}`))
			}
		},
		"no signature": func(ws *websocket.Conn) {
			_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"kind":"HELLO","signed":"e30="}`))
		},
	}
	for name, send := range sends {
		ws, _, err := dial(nil)
		if err != nil {
			t.Fatal(err)
		}
		send(ws)
		_ = ws.SetReadDeadline(time.Now().Add(patience))
		for {
			_, msg, err := ws.ReadMessage()
			if err != nil {
				if e, ok := err.(net.Error); ok && e.Timeout() {
					t.Errorf("%s: the hub keeps listening", name)
				}
				break
			}
			if f, err := wire.DecodeFrame(msg, false); err == nil && f.Kind() == wire.KindWelcome {
				t.Errorf("%s: welcome", name)
			}
		}
		ws.Close()
	}
	if n := len(c.hub.Online()); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// TestMuteStrangerIsShownOut: who says nothing is gone after the time for
// HELLO, however often he pings.
func TestMuteStrangerIsShownOut(t *testing.T) {
	c := newCentre(t, nil, func(cfg *hub.Config) { cfg.Timing.Hello = 200 * time.Millisecond })
	d := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: 5 * time.Second}
	ws, _, err := d.Dial("ws://"+c.addr+wire.SyncPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	_ = ws.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, _, err := ws.ReadMessage(); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Error("the hub keeps listening")
			}
			return
		}
		_ = ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
	}
}
