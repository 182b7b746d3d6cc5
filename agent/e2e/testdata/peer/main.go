// Command peer holds the five packages the agent is built on and does nothing
// with them but listen: what the agent's size, memory and start are held against.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/kardianos/service"
	"go.bug.st/serial"
	"go.etcd.io/bbolt"
)

func main() {
	db, err := bbolt.Open(filepath.Join(os.Args[1], "peer.db"), 0o600, nil)
	if err != nil {
		panic(err)
	}
	defer db.Close()
	var up websocket.Upgrader
	http.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, uuid.New(), service.Interactive()) })
	http.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) { _, _ = up.Upgrade(w, r, nil) })
	http.HandleFunc("/ports", func(w http.ResponseWriter, r *http.Request) { _, _ = serial.Open("", &serial.Mode{}) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(os.Args[1], "address"), []byte(l.Addr().String()), 0o600); err != nil {
		panic(err)
	}
	panic(http.Serve(l, nil))
}
