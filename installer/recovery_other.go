//go:build !windows

package installer

// CompleteService does nothing: the unit says all of it.
func CompleteService() error { return nil }

// RemoveEventSource does nothing: the journal knows no sources.
func RemoveEventSource() error { return nil }
