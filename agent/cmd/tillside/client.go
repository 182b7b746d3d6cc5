package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/local"
	"github.com/tillside/tillside/agent/till"
)

// errNotRunning is told when no agent answers for a data folder.
var errNotRunning = &exit{code: exitNotRunning, err: errors.New("the agent does not run; start it with: tillside service start (or tillside run)")}

// address reads where the agent of a data folder listens.
func address(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, agent.AddressFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", errNotRunning
	}
	if err != nil {
		return "", fmt.Errorf("read address: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// ask makes one reading call to the running agent: over its socket, where the
// system says who we are, or over TCP with what only those know who may read the
// agent's secret.
func ask(dir, path string, into any) error {
	t := &http.Transport{Proxy: nil}
	addr, token := "localhost", ""
	if b, err := os.ReadFile(filepath.Join(dir, agent.SocketFile)); err == nil {
		t = local.Transport(strings.TrimSpace(string(b)))
	} else {
		if addr, err = address(dir); err != nil {
			return err
		}
		secret, err := agent.ReadSecret(dir)
		if err != nil {
			return fmt.Errorf("read secret: %w", err)
		}
		token = "Bearer " + till.LocalToken(secret)
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: t}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return errNotRunning
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var e struct {
			Error till.Error `json:"error"`
		}
		if json.Unmarshal(b, &e) == nil && e.Error.Message != "" {
			return errors.New(e.Error.Message)
		}
		return fmt.Errorf("%s answered %s", addr, resp.Status)
	}
	return json.Unmarshal(b, into)
}

// writeJSON prints an answer for scripts.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
