// Package provision finds the file that tells an installation without a person
// which till this is.
//
// A package is installed by the system's installer, and what runs after the
// files are copied is told neither where the package came from nor by whom. So
// the file is looked for where people put it, in this order:
//
//  1. the folder of the settings (/etc/tillside): management tools put it there
//  2. beside the package: on the share or the stick it is installed from
//  3. at the top of a USB stick or another removable disk that is mounted
//
// The place of the package is what the Windows installers pass on; on Linux
// the command lines of the programs above ours name it (dpkg -i …/tillside.deb,
// apt install ./tillside.deb, dnf install …/tillside.rpm).
//
// The file is only read. What it says is in configs.Provision; nothing of it
// is logged.
package provision

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tillside/tillside/configs"
)

// Find looks for the file in the folders and gives the first one's path; ""
// when there is none.
func Find(folders []string) (string, error) {
	for _, dir := range folders {
		file := filepath.Join(dir, configs.ProvisionFile)
		st, err := os.Stat(file)
		if err == nil && st.Mode().IsRegular() {
			return file, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			// There and not to be read: say so rather than install something else.
			if errors.Is(err, fs.ErrPermission) {
				return "", err
			}
		}
	}
	return "", nil
}

// Places are the folders to look into. settings is the folder of the settings;
// pkg is the package's file as the installer told it, or "".
func Places(settings, pkg string) []string {
	places := []string{settings}
	if pkg != "" {
		places = append(places, filepath.Dir(pkg))
	}
	return append(append(places, packageFolders()...), removable()...)
}
