package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Tx is a transaction as the rooms see it: SQL with question marks, the
// context already inside. It must not outlive the function it was given to
// and belongs to one goroutine.
type Tx struct {
	tx  *sql.Tx
	ctx context.Context
}

// Exec runs a statement.
func (t *Tx) Exec(query string, args ...any) error {
	_, err := t.tx.ExecContext(t.ctx, query, args...)
	return err
}

// ExecCount runs a statement and tells how many rows it touched.
func (t *Tx) ExecCount(query string, args ...any) (int64, error) {
	r, err := t.tx.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Prepare readies a statement that fn runs many times. Close it before the
// transaction ends.
func (t *Tx) Prepare(query string) (*sql.Stmt, error) { return t.tx.PrepareContext(t.ctx, query) }

// Row scans the single row of a query. It returns false when there is none.
func (t *Tx) Row(query string, args []any, dest ...any) (bool, error) {
	err := t.tx.QueryRowContext(t.ctx, query, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Rows runs scan for each row of a query.
func (t *Tx) Rows(query string, args []any, scan func(r *sql.Rows) error) error {
	rows, err := t.tx.QueryContext(t.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Next takes n numbers from the named counter and returns the first. Numbers
// of a transaction that is rolled back are given out again, so a reader never
// sees a gap that could still be filled: what is committed with a higher
// number was committed later.
func (t *Tx) Next(counter string, n int64) (int64, error) {
	var last int64
	ok, err := t.Row(`UPDATE counter SET value = value + ? WHERE name = ? RETURNING value`, []any{n, counter}, &last)
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", counter, err)
	}
	if !ok {
		if err := t.Exec(`INSERT INTO counter (name, value) VALUES (?, ?)`, counter, n); err != nil {
			return 0, fmt.Errorf("count %s: %w", counter, err)
		}
		last = n
	}
	return last - n + 1, nil
}

// Counter reads the last number given out by the named counter.
func (t *Tx) Counter(name string) (int64, error) {
	var v int64
	_, err := t.Row(`SELECT value FROM counter WHERE name = ?`, []any{name}, &v)
	return v, err
}

// bulkRows is how many rows InsertMany puts into one statement: beyond it
// the gain is small and the statement grows.
const bulkRows = 50

// InsertMany inserts rows, given as a flat list of len(columns) values each.
// insert is the statement up to the word VALUES, with what follows the
// values (ON CONFLICT …) in tail.
func (t *Tx) InsertMany(insert string, columns int, flat []any, tail string) error {
	per := columns * bulkRows
	if len(flat) >= per {
		st, err := t.Prepare(insert + Marks(columns, bulkRows) + tail)
		if err != nil {
			return err
		}
		defer st.Close()
		for ; len(flat) >= per; flat = flat[per:] {
			if _, err := st.ExecContext(t.ctx, flat[:per]...); err != nil {
				return err
			}
		}
	}
	if len(flat) == 0 {
		return nil
	}
	return t.Exec(insert+Marks(columns, len(flat)/columns)+tail, flat...)
}

// Marks writes (?,?,…) n times, with commas between.
func Marks(columns, n int) string {
	one := "(" + strings.Repeat("?,", columns-1) + "?)"
	return " " + strings.Repeat(one+",", n-1) + one + " "
}

// In runs scan for each row of a query over a long list of keys, a bounded
// number at a time. The query holds %s where the list of marks belongs.
func In[K any](t *Tx, query string, keys []K, scan func(r *sql.Rows) error) error {
	const most = 500
	for len(keys) > 0 {
		n := min(most, len(keys))
		args := make([]any, n)
		for i, k := range keys[:n] {
			args[i] = k
		}
		if err := t.Rows(fmt.Sprintf(query, Marks(n, 1)), args, scan); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// Get reads a value from the table of single facts about this centre.
func (t *Tx) Get(key string) (value []byte, ok bool, err error) {
	ok, err = t.Row(`SELECT value FROM fact WHERE key = ?`, []any{key}, &value)
	return value, ok, err
}

// Set stores a value in the table of single facts about this centre.
func (t *Tx) Set(key string, value []byte) error {
	return t.Exec(`INSERT INTO fact (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
}
