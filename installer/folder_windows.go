package installer

import (
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// PrepareData makes the data folder for the system, the administrators and
// the service's own account, and for nobody else: what the common program data
// would let every user read is cut off. An account that does not exist yet has
// its number already, since it is computed from the service's name.
func PrepareData(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	sd, err := windows.SecurityDescriptorFromString(dataRights(Name))
	if err != nil {
		return fmt.Errorf("rights of the data folder: %w", err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return fmt.Errorf("rights of the data folder: %w", err)
	}
	err = windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	if err != nil {
		return fmt.Errorf("rights of the data folder: %w", err)
	}
	return nil
}
