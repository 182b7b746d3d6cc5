package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tillside/tillside/agent/internal/private"
	"github.com/tillside/tillside/agent/local"
	"github.com/tillside/tillside/configs"
)

// SocketFile names, in the data folder, the socket or pipe of the running agent.
const SocketFile = "socket"

// socketPath is where the socket is when the settings do not say.
func socketPath(dir string) string {
	if runtime.GOOS == "windows" {
		if filepath.Base(dir) == "Tillside" {
			return `\\.\pipe\tillside`
		}
		sum := sha256.Sum256([]byte(dir)) // one machine may hold several, for trials
		return `\\.\pipe\tillside-` + hex.EncodeToString(sum[:4])
	}
	if run := os.Getenv("RUNTIME_DIRECTORY"); filepath.IsAbs(run) {
		return filepath.Join(run, "api.sock")
	}
	return filepath.Join(dir, "api.sock")
}

// openSocket listens on the socket. Where it was not asked for, one that cannot
// be had (the path is too long, the system has none) is told and no more.
func (a *Agent) openSocket() error {
	s := a.o.Settings.API
	if s.Socket == configs.Off {
		return nil
	}
	path, asked := s.Socket, true
	if path == "" {
		path, asked = socketPath(a.dir), s.SocketGroup != "" || s.Listen == configs.Off
	}
	l, err := local.Listen(path, s.SocketGroup)
	if err != nil {
		if asked {
			return err
		}
		a.log.Warn("no local socket", "error", err)
		return nil
	}
	a.socket = l
	if err := private.WriteFile(filepath.Join(a.dir, SocketFile), []byte(path+"\n")); err != nil {
		return fmt.Errorf("write socket: %w", err)
	}
	return nil
}
