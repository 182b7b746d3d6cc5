//go:build !linux && !windows

package agent

import (
	"errors"
	"time"
)

var begun = time.Now()

func bootID() string { return randomID() }

func sinceBoot() time.Duration { return time.Since(begun) }

func freeBytes(string) (uint64, error) { return 0, errors.New("not known on this system") }
