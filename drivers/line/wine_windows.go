package line

import "golang.org/x/sys/windows"

// underWine tells whether Windows is really Wine, whose reads wait for a full
// buffer. It is asked once for each port that is opened.
func underWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}
