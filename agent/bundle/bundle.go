// Package bundle packs what a person who helps from afar wants to see of a
// till into one ZIP file, with nothing of a customer in it.
//
//	about.json      program, system, store and till
//	doctor.json     every finding of the doctor
//	status.json     what the running agent says of itself
//	metrics.txt     its figures
//	settings.toml   the settings file
//	folder.txt      names, sizes and times in the data folder
//	journal.json    how many records of which type, from where to where: no contents
//	log/…           the ends of the log files, and of the system's log of the service
//
// The agent's log holds no card number, phone, name or token in the first
// place: the types that carry them mask themselves. [Mask] goes over every line
// all the same, and takes out whatever looks like one. Better a support
// person who misses a number than a stranger who finds one.
//
// A bundle has a short id made of its contents; it is what people tell each
// other on the phone.
package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Contents is what goes in. Empty parts are left out.
type Contents struct {
	About    any
	Doctor   any
	Status   any
	Journal  any
	Metrics  []byte
	Settings string   // file
	Folder   string   // data folder, to be listed
	Logs     []string // log files, newest first
	System   []byte   // the system's log of the service
	Now      time.Time
}

// tail is how much of the end of a log goes in.
const tail = 4 << 20

// Write writes the ZIP and returns its id.
func Write(w io.Writer, c *Contents) (id string, err error) {
	files := map[string][]byte{}
	for name, v := range map[string]any{"about.json": c.About, "doctor.json": c.Doctor, "status.json": c.Status, "journal.json": c.Journal} {
		if v == nil {
			continue
		}
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return "", fmt.Errorf("bundle %s: %w", name, err)
		}
		files[name] = b
	}
	if len(c.Metrics) > 0 {
		files["metrics.txt"] = c.Metrics
	}
	if len(c.System) > 0 {
		files["log/system.txt"] = c.System
	}
	if c.Settings != "" {
		if b, err := os.ReadFile(c.Settings); err == nil {
			files["settings.toml"] = b
		} else {
			files["settings.toml"] = []byte("# " + err.Error() + "\n")
		}
	}
	if c.Folder != "" {
		files["folder.txt"] = list(c.Folder)
	}
	for _, path := range c.Logs {
		b, err := end(path)
		if err != nil {
			b = []byte(err.Error() + "\n")
		}
		files["log/"+filepath.Base(path)] = b
	}
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	sum := sha256.New()
	for _, n := range names {
		if n != "metrics.txt" && n != "folder.txt" { // figures without a person, and long ones
			files[n] = Mask(files[n])
		}
		sum.Write([]byte(n))
		sum.Write(files[n])
	}
	id = strings.ToUpper(base32.StdEncoding.EncodeToString(sum.Sum(nil)))[:8]
	z := zip.NewWriter(w)
	for _, n := range names {
		f, err := z.CreateHeader(&zip.FileHeader{Name: "tillside-" + id + "/" + n, Method: zip.Deflate, Modified: c.Now})
		if err != nil {
			return "", err
		}
		if _, err := f.Write(files[n]); err != nil {
			return "", err
		}
	}
	return id, z.Close()
}

// end is the last part of a log, whole lines.
func end(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > tail {
		if _, err := f.Seek(-tail, io.SeekEnd); err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(f, tail))
		if _, whole, ok := bytes.Cut(b, []byte("\n")); ok {
			b = whole
		}
		return b, err
	}
	return io.ReadAll(io.LimitReader(f, tail))
}

func list(dir string) []byte {
	var b bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			fmt.Fprintf(&b, "%v\n", err)
			return nil
		}
		rel, _ := filepath.Rel(dir, path)
		if st, err := d.Info(); err == nil {
			fmt.Fprintf(&b, "%s %12d %s %s\n", st.Mode(), st.Size(), st.ModTime().UTC().Format(time.RFC3339), rel)
		}
		return nil
	})
	if err != nil {
		fmt.Fprintf(&b, "%v\n", err)
	}
	return b.Bytes()
}
