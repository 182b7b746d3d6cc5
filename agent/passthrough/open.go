package passthrough

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
// cut: that ends the till's receipt too.
type openFile struct {
	path    string
	entries []entry
}

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
	return f, nil
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
		err := os.Remove(f.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	b, err := json.Marshal(f.entries)
	if err != nil {
		return err
	}
	tmp := f.path + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, f.path)
}
