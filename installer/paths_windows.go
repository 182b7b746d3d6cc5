package installer

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// DefaultData is the system's place for what the agent keeps. A service's
// environment names the wrong folder on some systems, so the system is asked.
func DefaultData() string {
	dir, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, 0)
	if err != nil {
		dir = `C:\ProgramData`
	}
	return filepath.Join(dir, "Tillside")
}

// DefaultConfig is the system's place for the settings.
func DefaultConfig() string { return filepath.Join(DefaultData(), "till.toml") }
