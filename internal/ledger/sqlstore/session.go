package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"
)

// session is one connection with its prepared statements. It is used by one goroutine at a time.
type session struct {
	conn       *sql.Conn
	dialect    dialect
	statements map[string]*sql.Stmt
}

func newSession(ctx context.Context, db *sql.DB, d dialect) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &session{conn: conn, dialect: d, statements: map[string]*sql.Stmt{}}, nil
}

// close gives the connection back.
func (s *session) close() error {
	s.forget()
	return s.conn.Close()
}

// discard closes the connection itself instead of giving it back: its transaction ends with it.
func (s *session) discard() error {
	s.forget() // first: a statement must not outlive its connection
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
	return s.conn.Close()
}

func (s *session) forget() {
	for _, statement := range s.statements {
		_ = statement.Close() // there is nothing to be done about a statement that does not close
	}
	clear(s.statements)
}

// prepared returns the statement for a query. Queries are built from constants, so that their number is bounded.
func (s *session) prepared(query string) (*sql.Stmt, error) {
	if statement, ok := s.statements[query]; ok {
		return statement, nil
	}
	// Not the caller's context: the statement outlives the call.
	statement, err := s.conn.PrepareContext(context.Background(), s.dialect.placeholders(query))
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	s.statements[query] = statement
	return statement, nil
}

func (s *session) exec(ctx context.Context, query string, args ...any) error {
	statement, err := s.prepared(query)
	if err != nil {
		return err
	}
	_, err = statement.ExecContext(ctx, s.arguments(args)...)
	return err
}

// time asks for a number of microseconds since 1970.
func (s *session) time(ctx context.Context, query string) (time.Time, error) {
	statement, err := s.prepared(query)
	if err != nil {
		return time.Time{}, err
	}
	micros, err := scanInt(statement.QueryRowContext(ctx))
	return time.UnixMicro(micros).UTC(), err
}

// arguments makes text one that the database can hold.
func (s *session) arguments(args []any) []any {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = s.dialect.storable(text)
		}
	}
	return args
}

// run executes a command that controls the transaction, always to its end.
func (s *session) run(command string) error { return s.exec(context.Background(), command) }
