//go:build unix

package doctor

import "syscall"

const errRefused = syscall.ECONNREFUSED
