//go:build !windows

package installer

import "log/slog"

// SystemLog is nil: the service manager keeps what the program prints.
func SystemLog(*slog.HandlerOptions) slog.Handler { return nil }
