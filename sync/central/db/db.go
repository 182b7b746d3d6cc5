package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the embedded engine, without cgo
)

// FileName is the database file inside the centre's data folder.
const FileName = "central.db"

// ErrReadOnly is returned by Write on a database opened with OpenReadOnly.
var ErrReadOnly = errors.New("database is opened for reading only")

// DB is the open database. It is safe for concurrent use.
type DB struct {
	writer *sql.DB // one connection: SQLite has one writer at a time
	reader *sql.DB
	dir    string
	wrote  atomic.Int64 // successful Write calls of this process
	kept   struct{ writer, reader statements }
}

// Open opens the database in dir, makes folder and file when absent, and
// brings the tables to the newest version.
func Open(ctx context.Context, dir string) (*DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	file := filepath.Join(dir, FileName)
	// The file holds contact data: made by us first, so that it is never
	// readable by others, whatever the umask.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	f.Close()
	d := &DB{dir: dir}
	if d.writer, err = open(file, "_txlock=immediate"); err != nil {
		return nil, err
	}
	d.writer.SetMaxOpenConns(1)
	d.writer.SetMaxIdleConns(1)
	if err := migrate(ctx, d.writer); err != nil {
		return nil, errors.Join(err, d.writer.Close())
	}
	if d.reader, err = open(file, "_pragma=query_only(1)"); err != nil {
		return nil, errors.Join(err, d.writer.Close())
	}
	d.reader.SetMaxOpenConns(8)
	d.reader.SetMaxIdleConns(8)
	return d, nil
}

func open(file, extra string) (*sql.DB, error) {
	q := strings.Join([]string{
		"_pragma=busy_timeout(15000)",
		"_pragma=journal_mode(WAL)",
		"_pragma=synchronous(FULL)",
		"_pragma=foreign_keys(1)",
		"_pragma=secure_delete(1)", // what an erasure removes is overwritten, not only let go
		"_pragma=temp_store(MEMORY)",
		"_pragma=cache_size(-32768)",           // 32 MiB a connection
		"_pragma=wal_autocheckpoint(8000)",     // pages: fewer, larger copies into the main file
		"_pragma=journal_size_limit(67108864)", // the log shrinks back after a burst
		extra,
	}, "&")
	// The path is escaped: a question mark or percent sign in a folder's name
	// must not turn into a parameter.
	h, err := sql.Open("sqlite", "file:"+(&url.URL{Path: filepath.ToSlash(file)}).EscapedPath()+"?"+q)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return h, nil
}

// Scrub brings what was overwritten from the log into the main file and empties
// the log, so that no older copy of a page is left in it. Readers at work may
// keep part of it; the next call gets that.
func (d *DB) Scrub(ctx context.Context) error {
	var busy, frames, done int
	err := d.writer.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &done)
	if err == nil && busy != 0 {
		err = errors.New("the database is read at this moment; the log is emptied at the next erasure or stop")
	}
	return err
}

// Close closes all connections. Calls in flight end first.
func (d *DB) Close() error {
	return errors.Join(d.kept.reader.close(), d.reader.Close(), d.kept.writer.close(), d.writer.Close())
}

// Dir is the data folder.
func (d *DB) Dir() string { return d.dir }

// Writes counts the transactions this process has committed; tests and
// metrics look at it.
func (d *DB) Writes() int64 { return d.wrote.Load() }

// Write runs fn in one writing transaction. When fn and the commit return no
// error, everything fn did is on disk; otherwise nothing of it is. Writers
// wait for each other, so fn does no I/O but the database's.
func (d *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	err := run(ctx, d.writer, nil, &d.kept.writer, fn)
	if err == nil {
		d.wrote.Add(1)
		d.kept.writer.prepare(ctx, d.writer)
	}
	return err
}

// Read runs fn on one unchanging view of the database.
func (d *DB) Read(ctx context.Context, fn func(tx *Tx) error) error {
	err := run(ctx, d.reader, &sql.TxOptions{ReadOnly: true}, &d.kept.reader, fn)
	if err == nil {
		d.kept.reader.prepare(ctx, d.reader)
	}
	return err
}

func run(ctx context.Context, h *sql.DB, opt *sql.TxOptions, kept *statements, fn func(tx *Tx) error) (err error) {
	t, err := h.BeginTx(ctx, opt)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if p := recover(); p != nil {
			_ = t.Rollback()
			panic(p)
		}
	}()
	if err := fn(&Tx{tx: t, ctx: ctx, kept: kept}); err != nil {
		_ = t.Rollback()
		return err
	}
	if opt != nil {
		return t.Rollback()
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Backup writes a copy of the database, consistent at one instant, to file,
// which must not exist.
func (d *DB) Backup(ctx context.Context, file string) error {
	if _, err := d.writer.ExecContext(ctx, "VACUUM INTO ?", file); err != nil {
		return fmt.Errorf("back up database: %w", err)
	}
	return nil
}

// Millis is a time as the database keeps it: Unix milliseconds, zero for the
// zero time.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time is the reverse of Millis, in UTC.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
