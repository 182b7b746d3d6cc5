package store

import (
	"errors"

	"golang.org/x/sys/windows"
)

// IsFull tells whether an error means that the disk, or this user's share of
// it, is full.
func IsFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
