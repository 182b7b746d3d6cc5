package provision

import "golang.org/x/sys/windows"

// packageFolders: the Windows installers tell where the package is.
func packageFolders() []string { return nil }

// removable are the roots of the removable disks.
func removable() []string {
	mask, err := windows.GetLogicalDrives()
	if err != nil {
		return nil
	}
	var roots []string
	for i := range 26 {
		if mask&(1<<i) == 0 {
			continue
		}
		root := string(rune('A'+i)) + `:\`
		p, err := windows.UTF16PtrFromString(root)
		if err == nil && windows.GetDriveType(p) == windows.DRIVE_REMOVABLE {
			roots = append(roots, root)
		}
	}
	return roots
}
