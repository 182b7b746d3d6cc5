package doctor

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// volume is the free space for this user and the kind of the folder's drive.
func volume(dir string) (free uint64, kind string, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, "", err
	}
	if err := windows.GetDiskFreeSpaceEx(path, &free, nil, nil); err != nil {
		return 0, "", err
	}
	kind = "a local drive"
	if root, err := windows.UTF16PtrFromString(filepath.VolumeName(dir) + `\`); err == nil && windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		kind = "network"
	}
	return free, kind, nil
}
