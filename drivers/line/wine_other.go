//go:build !windows

package line

func underWine() bool { return false }
