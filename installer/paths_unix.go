//go:build !windows

package installer

// DefaultData is the system's place for what the agent keeps.
func DefaultData() string { return "/var/lib/tillside" }

// DefaultConfig is the system's place for the settings.
func DefaultConfig() string { return "/etc/tillside/till.toml" }
