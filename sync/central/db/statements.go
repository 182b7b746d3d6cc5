package db

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// statements keeps prepared statements of the writer, or of the readers. The
// rooms ask the same few hundred things over and over, and reading a statement
// costs the engine more than finding a row; the bulk statements of the ledger
// hold hundreds of question marks.
//
// A statement can only be prepared for keeping while no transaction has the
// writer's one connection, so a new one is run as it is the first time and
// prepared for keeping afterwards.
type statements struct {
	mu     sync.Mutex
	kept   map[string]*sql.Stmt
	wanted map[string]bool
	closed bool
}

// mostKept bounds what is kept: more than the rooms ever ask, but searches of
// the pages put their own statements together.
const mostKept = 400

// ready returns the kept statement for this transaction; nil when there is
// none yet.
func (t *Tx) ready(query string) *sql.Stmt {
	if t.kept == nil {
		return nil
	}
	t.kept.mu.Lock()
	have := t.kept.kept[query]
	if have == nil && len(t.kept.kept)+len(t.kept.wanted) < mostKept {
		if t.kept.wanted == nil {
			t.kept.wanted = map[string]bool{}
		}
		t.kept.wanted[query] = true
	}
	t.kept.mu.Unlock()
	if have == nil {
		return nil
	}
	return t.tx.StmtContext(t.ctx, have)
}

// statement returns a prepared statement for this transaction; done gives it
// back.
func (t *Tx) statement(query string) (st *sql.Stmt, done func() error, err error) {
	if have := t.ready(query); have != nil {
		return have, func() error { return nil }, nil
	}
	st, err = t.tx.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, nil, err
	}
	return st, st.Close, nil
}

// prepare readies what the last transactions wanted. A failure only means
// that the next one prepares for itself.
func (s *statements) prepare(ctx context.Context, h *sql.DB) {
	s.mu.Lock()
	wanted := s.wanted
	s.wanted = nil
	s.mu.Unlock()
	for query := range wanted {
		st, err := h.PrepareContext(ctx, query)
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed || s.kept[query] != nil {
			s.mu.Unlock()
			st.Close()
			continue
		}
		if s.kept == nil {
			s.kept = map[string]*sql.Stmt{}
		}
		s.kept[query] = st
		s.mu.Unlock()
	}
}

func (s *statements) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for _, st := range s.kept {
		errs = append(errs, st.Close())
	}
	s.kept = nil
	return errors.Join(errs...)
}
