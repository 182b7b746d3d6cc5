// Command tillside is the agent beside a till. See "tillside help".
//
// Exit codes, for scripts:
//
//	0  done
//	1  failed; the reason is on standard error
//	2  the command line is wrong
//	3  settings are wrong (config check tells all of it)
//	4  another agent works on this data folder
//	5  not enrolled
//	6  the agent does not run (status, page)
//	7  the agent runs and something is wrong (status)
//	8  stopped by a second signal before everything was finished
//	9  another program takes over (between the program and its service only)
package main

import (
	"os"
)

// version is set at build time: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	p := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr, version: version}
	os.Exit(p.main(os.Args[1:]))
}
