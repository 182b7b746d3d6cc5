//go:build !linux

package fiscal

import "github.com/tillside/tillside/drivers/line"

func openPty(string) (line.Raw, func(), error) { return nil, nil, ErrNoPty }
