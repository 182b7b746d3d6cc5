//go:build unix

package main

import (
	"context"
	"os"
	"syscall"
)

// handOver becomes another program: same process, same arguments. It returns
// only when that fails.
func handOver(_ context.Context, path string, env []string) error {
	return syscall.Exec(path, append([]string{path}, os.Args[1:]...), env)
}
