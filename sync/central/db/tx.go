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
	tx   *sql.Tx
	ctx  context.Context
	kept *statements // nil: none are kept
}

// Exec runs a statement.
func (t *Tx) Exec(query string, args ...any) error {
	_, err := t.exec(query, args)
	return err
}

func (t *Tx) exec(query string, args []any) (sql.Result, error) {
	if st := t.ready(query); st != nil {
		return st.ExecContext(t.ctx, args...)
	}
	return t.tx.ExecContext(t.ctx, query, args...)
}

// ExecCount runs a statement and tells how many rows it touched.
func (t *Tx) ExecCount(query string, args ...any) (int64, error) {
	r, err := t.exec(query, args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Row scans the single row of a query. It returns false when there is none.
func (t *Tx) Row(query string, args []any, dest ...any) (bool, error) {
	var row *sql.Row
	if st := t.ready(query); st != nil {
		row = st.QueryRowContext(t.ctx, args...)
	} else {
		row = t.tx.QueryRowContext(t.ctx, query, args...)
	}
	err := row.Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Rows runs scan for each row of a query.
func (t *Tx) Rows(query string, args []any, scan func(r *sql.Rows) error) error {
	ask := t.tx.QueryContext
	if st := t.ready(query); st != nil {
		ask = func(ctx context.Context, _ string, args ...any) (*sql.Rows, error) {
			return st.QueryContext(ctx, args...)
		}
	}
	rows, err := ask(t.ctx, query, args...)
	if err != nil {
		return err
	}
	return each(rows, scan)
}

func each(rows *sql.Rows, scan func(r *sql.Rows) error) error {
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

// bulk is how many rows InsertMany puts into one statement, the most first:
// beyond fifty the gain is small. Few sizes mean few statements to keep.
var bulk = []int{50, 10, 1}

// InsertMany inserts rows, given as a flat list of columns values each.
// insert is the statement up to the word VALUES, with what follows the
// values (ON CONFLICT …) in tail. Rows are inserted in order.
func (t *Tx) InsertMany(insert string, columns int, flat []any, tail string) error {
	for _, rows := range bulk {
		per := columns * rows
		if len(flat) < per {
			continue
		}
		st, done, err := t.statement(insert + Marks(columns, rows) + tail)
		if err != nil {
			return err
		}
		for ; len(flat) >= per && err == nil; flat = flat[per:] {
			_, err = st.ExecContext(t.ctx, flat[:per]...)
		}
		if err := errors.Join(err, done()); err != nil {
			return err
		}
	}
	return nil
}

// Marks writes (?,?,…) n times, with commas between.
func Marks(columns, n int) string {
	one := "(" + strings.Repeat("?,", columns-1) + "?)"
	return " " + strings.Repeat(one+",", n-1) + one + " "
}

// inSizes are the lengths of lists that In asks for; shorter lists are filled
// up with their last key, which changes nothing and keeps statements few.
var inSizes = []int{1, 20, 500}

// In runs scan for each row of a query over a long list of keys, a bounded
// number at a time. The query holds %s where the list of marks belongs. Each
// key must be given once, or its rows come twice.
func In[K any](t *Tx, query string, keys []K, scan func(r *sql.Rows) error) error {
	for len(keys) > 0 {
		size := inSizes[len(inSizes)-1]
		for _, s := range inSizes {
			if len(keys) <= s {
				size = s
				break
			}
		}
		n := min(size, len(keys))
		args := make([]any, size)
		for i := range args {
			args[i] = keys[min(i, n-1)]
		}
		st, done, err := t.statement(fmt.Sprintf(query, Marks(size, 1)))
		if err != nil {
			return err
		}
		err = func() error {
			rows, err := st.QueryContext(t.ctx, args...)
			if err != nil {
				return err
			}
			return each(rows, scan)
		}()
		if err := errors.Join(err, done()); err != nil {
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
