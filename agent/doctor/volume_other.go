//go:build !linux && !windows

package doctor

import "errors"

func volume(string) (uint64, string, error) { return 0, "", errors.ErrUnsupported }
