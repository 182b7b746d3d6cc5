package passthrough

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// entry is a receipt between its authorisation and its end.
type entry struct {
	ID string `json:"id"`
	// Printed: its lines were given to the relay. Closed: the printer has
	// closed it, and Capture is the call that books it.
	Printed bool            `json:"printed,omitempty"`
	Closed  bool            `json:"closed,omitempty"`
	Capture json.RawMessage `json:"capture,omitempty"`
}

// openFile keeps the entries. It is for a program that ends, not for a power
// cut: that ends the till's receipt too. That lines go out is noted in a file
// beside it: replacing a file may wait for the disk, and the till would, too.
type openFile struct {
	path    string
	entries []entry
}

// printedName is the file beside it, with an id on each line.
const printedName = ".printed"

// OpenName is the file in the data folder.
const OpenName = "passthrough.open"

func loadOpen(folder string) (*openFile, error) {
	f := &openFile{path: filepath.Join(folder, OpenName)}
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &f.entries)
	}
	if err != nil {
		f.entries = nil
		return f, fmt.Errorf("%s: %w", OpenName, err)
	}
	printed, err := os.ReadFile(f.path + printedName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("%s: %w", OpenName, err)
	}
	for i := range f.entries {
		for id := range strings.Lines(string(printed)) {
			if strings.TrimSpace(id) == f.entries[i].ID {
				f.entries[i].Printed = true
			}
		}
	}
	return f, nil
}

// mark notes that the lines of an entry go out now.
func (f *openFile) mark(id string) error {
	for i := range f.entries {
		if f.entries[i].ID == id {
			f.entries[i].Printed = true
		}
	}
	w, err := os.OpenFile(f.path+printedName, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = w.WriteString(id + "\n")
	return errors.Join(err, w.Close())
}

func (f *openFile) put(e entry) error {
	for i := range f.entries {
		if f.entries[i].ID == e.ID {
			f.entries[i] = e
			return f.save()
		}
	}
	f.entries = append(f.entries, e)
	return f.save()
}

func (f *openFile) drop(id string) error {
	for i := range f.entries {
		if f.entries[i].ID == id {
			f.entries = append(f.entries[:i], f.entries[i+1:]...)
			return f.save()
		}
	}
	return nil
}

func (f *openFile) save() error {
	if len(f.entries) == 0 {
		for _, name := range []string{f.path, f.path + printedName} {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	}
	b, err := json.Marshal(f.entries)
	if err != nil {
		return err
	}
	tmp := f.path + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	if err := os.Rename(tmp, f.path); err != nil {
		return err
	}
	// What was marked stands in the entries now.
	if err := os.Remove(f.path + printedName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
