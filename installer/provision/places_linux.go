package provision

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// packageFolders are the folders of the packages that the programs above this
// process were told to install.
func packageFolders() []string {
	var dirs []string
	for pid := os.Getppid(); pid > 1; pid = parent(pid) {
		proc := filepath.Join("/proc", strconv.Itoa(pid))
		line, err := os.ReadFile(filepath.Join(proc, "cmdline"))
		if err != nil {
			break
		}
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		dirs = append(dirs, named(line, cwd)...)
	}
	return dirs
}

// named finds the folders of our packages in a command line, its words ended
// by NUL.
func named(line []byte, cwd string) []string {
	var dirs []string
	for word := range bytes.SplitSeq(line, []byte{0}) {
		name := string(word)
		base := filepath.Base(name)
		if !strings.HasPrefix(base, "tillside") || !strings.HasSuffix(base, ".deb") && !strings.HasSuffix(base, ".rpm") {
			continue
		}
		if !filepath.IsAbs(name) {
			if cwd == "" {
				continue
			}
			name = filepath.Join(cwd, name)
		}
		dirs = append(dirs, filepath.Dir(name))
	}
	return dirs
}

// parent is the process above; 0 when that is not known.
func parent(pid int) int {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	return parentOf(b)
}

// parentOf reads the fourth word of a stat line. The second is a name in
// brackets that may hold anything.
func parentOf(stat []byte) int {
	i := bytes.LastIndexByte(stat, ')')
	words := strings.Fields(string(stat[i+1:]))
	if i < 0 || len(words) < 2 {
		return 0
	}
	n, err := strconv.Atoi(words[1])
	if err != nil {
		return 0
	}
	return n
}

// removable are the places where removable disks are mounted.
func removable() []string {
	b, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil
	}
	return removableIn(b, func(dev string) bool {
		// A partition's folder lies in that of its disk.
		link, err := filepath.EvalSymlinks(filepath.Join("/sys/class/block", filepath.Base(dev)))
		if err != nil {
			return false
		}
		for _, dir := range []string{link, filepath.Dir(link)} {
			if b, err := os.ReadFile(filepath.Join(dir, "removable")); err == nil && strings.TrimSpace(string(b)) == "1" {
				return true
			}
		}
		return strings.Contains(link, "/usb")
	})
}

// removableIn reads a mount table: what is mounted from a removable disk, and
// what stands where systems put removable disks.
func removableIn(table []byte, isRemovable func(dev string) bool) []string {
	var dirs []string
	for line := range strings.Lines(string(table)) {
		words := strings.Fields(line)
		if len(words) < 2 || !strings.HasPrefix(words[0], "/dev/") {
			continue
		}
		dir := unescape(words[1])
		if strings.HasPrefix(dir, "/media/") || strings.HasPrefix(dir, "/run/media/") || isRemovable(words[0]) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// unescape undoes the octal escapes of the mount table ("\040" is a space).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
