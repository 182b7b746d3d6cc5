package local

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

// TestPipe serves HTTP over a named pipe, to itself: the caller is known, a second
// server is refused, several callers at once are served.
func TestPipe(t *testing.T) {
	path := `\\.\pipe\tillside-test-` + strconv.Itoa(os.Getpid())
	l, err := Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if second, err := Listen(path, ""); err == nil {
		second.Close()
		if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() != nil {
			t.Error("two servers of one pipe") // Wine lets that pass, Windows does not
		}
	}
	srv := &http.Server{ConnContext: Context, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		p, ok, err := PeerOf(r.Context())
		if !ok || err != nil {
			http.Error(w, "nobody", http.StatusTeapot)
			return
		}
		_, _ = io.WriteString(w, p.User+"|"+strconv.FormatBool(p.Own)+"|"+strconv.Itoa(p.PID)+"|"+strconv.Itoa(len(b)))
	})}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, path) }}}
	answers := make(chan string, 4)
	for range cap(answers) {
		go func() {
			resp, err := client.Post("http://tillside/x", "text/plain", strings.NewReader(strings.Repeat("x", 200_000)))
			if err != nil {
				answers <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			answers <- resp.Status + " " + string(b)
		}()
	}
	for range cap(answers) {
		got := <-answers
		t.Log(got)
		if !strings.HasPrefix(got, "200 ") || !strings.Contains(got, "|true|"+strconv.Itoa(os.Getpid())+"|200000") {
			t.Errorf("answer: %s", got)
		}
	}
	client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	<-done
}
