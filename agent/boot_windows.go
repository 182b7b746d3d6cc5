package agent

import (
	"fmt"
	"time"

	"golang.org/x/sys/windows"
)

// bootID names this run of the machine by when it began, to ten seconds: the
// wall clock may be corrected meanwhile.
func bootID() string {
	begin := time.Now().Add(-sinceBoot()).Unix() / 10
	return fmt.Sprintf("win-%x", begin)
}

// sinceBoot goes on while the machine sleeps.
func sinceBoot() time.Duration { return windows.DurationSinceBoot() }

// freeBytes is the free space for this user on the disk of a folder.
func freeBytes(dir string) (uint64, error) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(p, &free, nil, nil)
	return free, err
}
