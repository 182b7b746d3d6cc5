package agent_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tillside/tillside/agent/local"
	"github.com/tillside/tillside/configs"
)

// overSocket makes a call over the socket of an agent.
func overSocket(t *testing.T, path, method, url, body string, head map[string]string) (int, string) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return local.Dial(ctx, path) }}}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range head {
		req.Header.Set(k, v)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestSocketKnowsWhoCalls (I29): the agent's own user needs no token, and stands
// in the log with name and process; an Origin is refused; the file is for its user
// only; TCP may be off altogether.
func TestSocketKnowsWhoCalls(t *testing.T) {
	c := newCounterWith(t, func(s *configs.Agent) { s.API.Listen = configs.Off })
	if c.agent.Addr().Network() != "unix" {
		t.Fatalf("listens on %v", c.agent.Addr())
	}
	path := filepath.Join(c.dir, "api.sock")
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", st, err)
	}
	code, body := overSocket(t, path, "GET", "http://tillside/v1/status", "", nil)
	var st struct{ Store string }
	if err := json.Unmarshal([]byte(body), &st); code != http.StatusOK || err != nil || st.Store != "s1" {
		t.Fatalf("%d %s", code, body)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if log := c.log.String(); !strings.Contains(log, "msg=called call=status caller=tillside user="+me.Username+" pid=") {
		t.Errorf("the call is not in the log:\n%s", log)
	}
	if code, body := overSocket(t, path, "GET", "http://tillside/v1/status", "", map[string]string{"Origin": "http://evil.example"}); code != http.StatusForbidden {
		t.Errorf("with an Origin: %d %s", code, body)
	}
	if code, _ := overSocket(t, path, "GET", "http://tillside/v1/status", "", map[string]string{"Authorization": "Bearer wrong"}); code != http.StatusUnauthorized {
		t.Errorf("with a wrong token: %d", code)
	}
	if code, _ := overSocket(t, path, "POST", "http://tillside/v1/identify", `{"input":"`+annasCard+`"}`,
		map[string]string{"Authorization": "Bearer " + c.token, "Content-Type": "application/json"}); code != http.StatusOK {
		t.Errorf("with a program's token: %d", code)
	}
	if log := c.log.String(); !strings.Contains(log, "call=identify caller=test") || strings.Contains(log, annasCard) {
		t.Error("the program is not in the log, or the card number is")
	}
	if _, err := os.Stat(filepath.Join(c.dir, "address")); err == nil {
		t.Error("an address although TCP is off")
	}
	if _, err := local.Listen(path, ""); err == nil {
		t.Error("a second agent took the socket")
	}
}

// TestSocketOfAnotherUser: rights keep another user out; with the group's rights,
// a user who is not in the settings needs a token.
func TestSocketOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becomes another user, which only root can")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("needs curl")
	}
	group, err := user.LookupGroupId(nobody.Gid)
	if err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("/tmp", "tillside-socket") // a folder others may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ask := func(socket string) string {
		cmd := exec.Command(curl, "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", socket, "http://tillside/v1/status")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, _ := cmd.Output()
		return string(out)
	}
	closed := filepath.Join(dir, "closed.sock")
	newCounterWith(t, func(s *configs.Agent) { s.API.Socket = closed })
	if got := ask(closed); got != "000" {
		t.Errorf("another user gets %s", got)
	}
	open := filepath.Join(dir, "open.sock")
	c := newCounterWith(t, func(s *configs.Agent) { s.API.Socket, s.API.SocketGroup = open, group.Name })
	if got := ask(open); got != "401" {
		t.Errorf("a member of the group without a token gets %s", got)
	}
	if log := c.log.String(); !strings.Contains(log, "user=nobody") {
		t.Error("who was refused is not in the log")
	}
	named := filepath.Join(dir, "named.sock")
	c = newCounterWith(t, func(s *configs.Agent) {
		s.API.Socket, s.API.SocketGroup, s.API.Users = named, group.Name, []string{"nobody"}
	})
	if got := ask(named); got != "200" {
		t.Errorf("a user of the settings gets %s", got)
	}
	if log := c.log.String(); !strings.Contains(log, "caller=user:nobody") {
		t.Error("the user is not in the log")
	}
}
