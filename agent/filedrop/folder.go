package filedrop

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// folder is the places on the disk or share.
type folder struct {
	root                        string
	in, work, out, done, failed string
}

func newFolder(s *Settings) folder {
	at := func(p string) string {
		if filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(s.Folder, p)
	}
	return folder{root: s.Folder, in: at(s.In), work: filepath.Join(s.Folder, "work"), out: at(s.Out), done: at(s.Done), failed: at(s.Failed)}
}

// ownerFile names the till a folder belongs to: two tills in one folder would
// both book its receipts.
const ownerFile = "owner.txt"

// open makes what is missing and takes the folder for a till.
func (f *folder) open(till string) error {
	st, err := os.Stat(f.root)
	if err != nil {
		return fmt.Errorf("%w (make the folder, or correct files.folder)", err)
	}
	for _, d := range []string{f.in, f.work, f.out, f.done, f.failed} {
		if err := makeDir(d, st.Mode().Perm()); err != nil {
			return err
		}
	}
	path := filepath.Join(f.root, ownerFile)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.WriteFile(path, []byte(till+"\r\n"), 0o644)
	case err != nil:
		return err
	}
	if owner := strings.TrimSpace(string(b)); owner != till {
		return fmt.Errorf("%w %s: give this till a folder of its own, or delete %s when that till is gone", errOwner, owner, path)
	}
	return nil
}

var errOwner = errors.New("the folder belongs to till")

// makeDir makes a folder with the rights of the one above, whatever the umask.
func makeDir(path string, mode fs.FileMode) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	_ = os.Chmod(path, mode) // a share may not know rights
	return nil
}

// temporary tells names that mean "not written yet", and those no cash
// software means us with.
func temporary(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~") || strings.HasSuffix(name, "~") {
		return true
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".tmp", ".temp", ".part", ".partial", ".$$$", ".writing", ".filepart", ".crdownload", ".lock", ".lck", ".bak", ".swp", ".new":
		return true
	}
	return strings.EqualFold(name, "thumbs.db") || strings.EqualFold(name, "desktop.ini")
}

// read reads a file up to a limit.
func read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, &Problem{Text: fmt.Sprintf("the file has more than %d bytes", limit), Hint: "write fewer receipts into one file"}
	}
	return b, err
}

// write puts a file into a folder whole: under a name nobody reads, synced,
// renamed. It has the rights of the file it answers.
func write(dir, name string, b []byte, mode fs.FileMode) error {
	tmp := filepath.Join(dir, "."+name+".tmp")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		_ = os.Chmod(tmp, mode.Perm()|0o600) // a share may not know rights
		err = os.Rename(tmp, filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	syncDir(dir)
	return nil
}

// move moves a file to where nothing of its name is, and returns its new path.
func move(from, dir string, at time.Time, daily bool) (string, error) {
	if daily {
		mode := fs.FileMode(0o755)
		if st, err := os.Stat(dir); err == nil {
			mode = st.Mode().Perm()
		}
		dir = filepath.Join(dir, at.Format("2006-01-02"))
		if err := makeDir(dir, mode); err != nil {
			return "", err
		}
	}
	name := filepath.Base(from)
	ext := filepath.Ext(name)
	base := strings.TrimSuffix(name, ext)
	for n := 1; ; n++ {
		to := filepath.Join(dir, name)
		if n > 1 {
			to = filepath.Join(dir, fmt.Sprintf("%s-%d%s", base, n, ext))
		}
		if _, err := os.Lstat(to); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err := os.Rename(from, to); err != nil {
			return "", err
		}
		syncDir(dir)
		return to, nil
	}
}

// syncDir makes names durable where the system can; shares often cannot.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
