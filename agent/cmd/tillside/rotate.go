package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// rotated is a log file that is bounded in size: when it is full it becomes
// NAME.1, what was NAME.1 becomes NAME.2, and so on; the oldest goes. Where
// it cannot be written the program goes on without.
type rotated struct {
	path string
	max  int64 // bytes
	keep int   // files besides the current one

	mu   sync.Mutex
	f    *os.File
	size int64
}

// Write implements io.Writer; it never fails, a log must not stop a sale.
func (r *rotated) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f != nil && r.size+int64(len(b)) > r.max {
		r.f.Close()
		r.f = nil
		for i := r.keep; i > 1; i-- {
			_ = os.Rename(fmt.Sprintf("%s.%d", r.path, i-1), fmt.Sprintf("%s.%d", r.path, i))
		}
		if r.keep > 0 {
			_ = os.Rename(r.path, r.path+".1")
		}
	}
	if r.f == nil {
		_ = os.MkdirAll(filepath.Dir(r.path), 0o700)
		f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return len(b), nil
		}
		st, err := f.Stat()
		if err == nil {
			r.size = st.Size()
		}
		r.f = f
	}
	n, _ := r.f.Write(b)
	r.size += int64(n)
	return len(b), nil
}

// Close closes the file.
func (r *rotated) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f == nil {
		return nil
	}
	err := r.f.Close()
	r.f = nil
	return err
}
