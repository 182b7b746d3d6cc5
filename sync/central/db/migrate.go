package db

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

//go:embed migrations
var migrations embed.FS

// ErrNewer is in the error of Open when the file was made by a newer program.
type ErrNewer struct{ File, Program int }

func (e *ErrNewer) Error() string {
	return fmt.Sprintf("database has version %d, this program knows up to %d: use the newer program, or restore the backup taken before the upgrade", e.File, e.Program)
}

// step is one migration: a number and the SQL that leads to it.
type step struct {
	number int
	name   string
	sql    string
}

func steps(fsys fs.FS, dir string) ([]step, error) {
	files, err := fs.ReadDir(fsys, dir) // sorted by name
	if err != nil {
		return nil, err
	}
	var all []step
	for i, f := range files {
		number, err := strconv.Atoi(strings.SplitN(f.Name(), "_", 2)[0])
		if err != nil || number != i+1 {
			return nil, fmt.Errorf("migration %s: files are numbered 0001, 0002, … without a gap", f.Name())
		}
		text, err := fs.ReadFile(fsys, path.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, step{number, f.Name(), string(text)})
	}
	return all, nil
}

// migrate brings the tables to the newest version, all steps in one
// transaction, so that a cut leaves the old or the new state.
func migrate(ctx context.Context, h *sql.DB) error {
	all, err := steps(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	return run(ctx, h, nil, nil, func(t *Tx) error {
		if err := t.Exec(`CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)`); err != nil {
			return fmt.Errorf("read version: %w", err)
		}
		var have int
		if _, err := t.Row(`SELECT COALESCE(MAX(version), 0) FROM schema_version`, nil, &have); err != nil {
			return fmt.Errorf("read version: %w", err)
		}
		if have > len(all) {
			return &ErrNewer{File: have, Program: len(all)}
		}
		for _, s := range all[have:] {
			if err := t.Exec(s.sql); err != nil {
				return fmt.Errorf("migration %s: %w", s.name, err)
			}
			if err := t.Exec(`INSERT INTO schema_version (version) VALUES (?)`, s.number); err != nil {
				return fmt.Errorf("migration %s: %w", s.name, err)
			}
		}
		return nil
	})
}
