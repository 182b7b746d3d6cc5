//go:build unix

package store

import (
	"errors"
	"syscall"
)

// IsFull tells whether an error means that the disk, or this user's share of
// it, is full.
func IsFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
