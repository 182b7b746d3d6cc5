//go:build !windows

package wedge

import "context"

// Watch finds readings among the keys of this session until ctx is done. read
// must not block. Here it returns ErrNoKeyboard.
func Watch(context.Context, Options, func(text []byte)) error { return ErrNoKeyboard }

// Keyboards lists the keyboards of this session as "VID:PID name".
func Keyboards() ([]string, error) { return nil, ErrNoKeyboard }
