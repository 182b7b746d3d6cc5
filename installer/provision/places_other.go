//go:build !linux && !windows

package provision

func packageFolders() []string { return nil }

func removable() []string { return nil }
