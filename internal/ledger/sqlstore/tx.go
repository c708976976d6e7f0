package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// tx is one function's part of a transaction.
type tx struct {
	// ctx is what statements run under. In an Update it never ends: an interrupted statement could take the updates
	// of other callers with it. caller is the context of who called, looked at between statements.
	ctx, caller context.Context
	now         time.Time
	session     *session
	ledger      *Ledger
	writable    bool
	wrote       bool
	over        bool // the function has returned
	failed      error
	effects     effects
}

var _ ledger.Tx = (*tx)(nil)

var (
	errOver     = errors.New("the transaction is over: a Tx is valid only within the function that it was given to")
	errReadOnly = errors.New("the transaction is read-only: write in Update")
)

// Now is the caller's clock, or a shared database's own.
func (t *tx) Now() time.Time { return t.now }

// Leads asks a shared database who holds the leader's lock.
func (t *tx) Leads() (bool, error) {
	query := t.ledger.dialect.leads()
	if query == "" {
		return true, t.usable()
	}
	found, err := list(t, scanInt, query)
	return len(found) > 0, err
}

// claim ends a SELECT of what is due: who only reads claims nothing.
func (t *tx) claim() string {
	if !t.writable {
		return ""
	}
	return t.ledger.dialect.claim()
}

func (t *tx) usable() error {
	if t.over {
		return errOver
	}
	if t.failed != nil {
		return t.failed
	}
	return t.fail(t.caller.Err())
}

// fail remembers an error of the database: the update cannot succeed after it.
func (t *tx) fail(err error) error {
	if err != nil && t.failed == nil {
		t.failed = err
	}
	return err
}

// write executes a statement.
func (t *tx) write(query string, args ...any) error {
	if err := t.writing(); err != nil {
		return err
	}
	return t.refused(t.session.exec(t.ctx, query, args...))
}

// insert executes a statement that returns the number of the row that it wrote.
func (t *tx) insert(query string, args ...any) (int64, error) {
	if err := t.writing(); err != nil {
		return 0, err
	}
	statement, err := t.session.prepared(query)
	if err != nil {
		return 0, t.fail(err)
	}
	id, err := scanInt(statement.QueryRowContext(t.ctx, t.session.arguments(args)...))
	return id, t.refused(err)
}

func (t *tx) writing() error {
	if err := t.usable(); err != nil {
		return err
	}
	if !t.writable {
		return t.fail(errReadOnly)
	}
	t.wrote = true
	return nil
}

// refused names the errors that a caller may have caused.
func (t *tx) refused(err error) error {
	switch {
	case err == nil:
		return nil
	case t.ledger.dialect.conflict(err):
		err = fmt.Errorf("%w: %w", ledger.ErrConflict, err)
	case t.ledger.dialect.orphan(err):
		err = fmt.Errorf("%w: %w", ledger.ErrNotFound, err)
	}
	return t.fail(err)
}

type row interface{ Scan(into ...any) error }

// list reads all rows before it returns, so that the next statement finds the connection free.
func list[T any](t *tx, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	statement, err := t.session.prepared(query)
	if err != nil {
		return nil, t.fail(err)
	}
	rows, err := statement.QueryContext(t.ctx, t.session.arguments(args)...)
	if err != nil {
		return nil, t.fail(err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(t.session.dialect.restored(rows))
		if err != nil {
			return nil, t.fail(err)
		}
		all = append(all, v)
	}
	return all, t.fail(rows.Err())
}

// one returns the first row, or ErrNotFound.
func one[T any](t *tx, scan func(row) (T, error), query string, args ...any) (T, error) {
	var none T
	if err := t.usable(); err != nil {
		return none, err
	}
	statement, err := t.session.prepared(query)
	if err != nil {
		return none, t.fail(err)
	}
	v, err := scan(t.session.dialect.restored(statement.QueryRowContext(t.ctx, t.session.arguments(args)...)))
	if errors.Is(err, sql.ErrNoRows) {
		return none, ledger.ErrNotFound
	}
	return v, t.fail(err)
}

func scanInt(r row) (n int64, err error) {
	err = r.Scan(&n)
	return n, err
}

func scanText(r row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

// upsert builds the statement that inserts a row or replaces all of it but its key. INSERT OR REPLACE would delete
// the old row first, and with it whatever refers to it.
func upsert(table string, key []string, columns string) string {
	names := strings.Split(columns, ", ")
	var set []string
	for _, name := range names {
		if !slices.Contains(key, name) {
			set = append(set, name+" = excluded."+name)
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (%s) DO UPDATE SET %s",
		table, columns, "?"+strings.Repeat(", ?", len(names)-1), strings.Join(key, ", "), strings.Join(set, ", "))
}
