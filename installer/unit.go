package installer

import (
	_ "embed"
	"strings"
)

//go:embed tillside.service
var unitTemplate string

// unit is the systemd unit as the service library expands it. A data folder
// of one's own is opened for writing; the default one is the state directory.
func unit(data string) string {
	rw := ""
	if data != "" && data != DefaultData() {
		rw = "ReadWritePaths=" + data + "\n"
	}
	return strings.Replace(unitTemplate, "#DATA#\n", rw, 1)
}
