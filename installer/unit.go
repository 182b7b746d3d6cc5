package installer

import (
	_ "embed"
	"strings"
)

//go:embed tillside.service
var unitTemplate string

// Where packages put the program on Linux.
const packagedProgram = "/usr/bin/tillside"

// Who the service is. A package makes a user of its own, who owns the data
// folder over removal and reinstallation. Registered by hand there is none,
// and systemd makes one for as long as the service runs.
const (
	packagedUser = "User=tillside\nGroup=tillside\n"
	byHandUser   = "DynamicUser=yes\nUser=tillside\nSupplementaryGroups=dialout\n"
)

// fill completes the template.
func fill(user, data string) string {
	rw := ""
	if data != "" && data != DefaultData() {
		rw = "ReadWritePaths=" + data + "\n"
	}
	return strings.NewReplacer("#USER#\n", user, "#DATA#\n", rw).Replace(unitTemplate)
}

// unit is the systemd unit as the service library expands it. A data folder
// of one's own is opened for writing; the default one is the state directory.
func unit(data string) string { return fill(byHandUser, data) }

// execStart is the part of the template that the service library expands.
const execStart = "{{Path | cmdEscape}}{{range Arguments}} {{. | cmd}}{{end}}"

// PackageUnit is the unit that deb and rpm carry.
func PackageUnit() string {
	return strings.NewReplacer("{{Description}}", "Tillside loyalty agent beside the till",
		execStart, packagedProgram+" run --service").Replace(fill(packagedUser, ""))
}

// RelayUnit is the unit of the pass-through on the printer line, which is a
// process of its own so that printing goes on while the agent is updated. It
// has the agent's sandbox and a folder for the port the cash program opens,
// and is disabled until a person enables it.
func RelayUnit() string {
	return strings.NewReplacer("{{Description}}", "Tillside pass-through on the printer line",
		"WatchdogSec=30\n", "", "OOMScoreAdjust=-200\n", "OOMScoreAdjust=-300\nRuntimeDirectory=tillside\nRuntimeDirectoryMode=0755\n",
		execStart, packagedProgram+" relay --service").Replace(fill(packagedUser, ""))
}
