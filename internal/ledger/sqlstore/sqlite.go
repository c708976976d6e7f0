package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

// sqliteID marks the file as a ledger (PRAGMA application_id): "alrt".
const sqliteID = 0x616c7274

// sqliteDB is the embedded database: one file, one writer, readers beside it.
type sqliteDB struct {
	path   string
	opened os.FileInfo
}

func (d *sqliteDB) validate(path string) error {
	switch {
	case path == "":
		return errors.New("must be the path of a file (got nothing)")
	case path == ":memory:" || strings.HasPrefix(path, "file:"):
		return fmt.Errorf("must be the path of a file, with no options (got %q)", path)
	}
	return nil
}

func (d *sqliteDB) open(ctx context.Context, path string) (write, read *sql.DB, err error) {
	if d.path, err = filepath.Abs(path); err != nil {
		return nil, nil, err
	}
	if err := d.create(); err != nil {
		return nil, nil, err
	}
	marked, err := d.ours(ctx)
	if err != nil {
		return nil, nil, err
	}
	write, err = d.pool(ctx, "", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"journal_size_limit(67108864)", "cache_size(-32768)", "temp_store(MEMORY)")
	if err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	if !marked { // before the first table, so that a file with any of ours in it is marked
		if _, err := write.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", sqliteID)); err != nil {
			return nil, nil, errors.Join(d.explain(err), write.Close())
		}
	}
	read, err = d.pool(ctx, "", "query_only(1)", "cache_size(-8192)", "temp_store(MEMORY)")
	if err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	return write, read, nil
}

// create makes the file where there is none, readable for nobody else: it holds secrets made at the first start.
// SQLite gives the files beside it the same mode.
func (d *sqliteDB) create() (err error) {
	if d.opened, err = os.Stat(d.path); err == nil {
		if d.opened.IsDir() {
			return fmt.Errorf("%s is a directory: name a file", d.path)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(d.path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the directory does not exist: make it, or name a file in another one: %w", err)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the Collector's user needs write access to the directory: %w", err)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if d.opened, err = file.Stat(); err != nil {
		return err
	}
	if directory, err := os.Open(filepath.Dir(d.path)); err == nil {
		_ = directory.Sync() // so that the file outlives a power failure; not every system lets a directory be synced
		_ = directory.Close()
	}
	return nil
}

// ours lets an empty file pass, and a ledger, which is marked. It only reads, so that a file that is not ours stays as it
// is; but it may write, since a first start that was killed leaves a journal that has to be rolled back.
func (d *sqliteDB) ours(ctx context.Context) (marked bool, err error) {
	db, err := d.pool(ctx, "rw")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var id, tables int64
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return false, d.explain(err)
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
		return false, d.explain(err)
	}
	if id != sqliteID && (id != 0 || tables != 0) {
		return false, fmt.Errorf("%s is a database of another program: name a file of the ledger's own", d.path)
	}
	return id == sqliteID, nil
}

func (d *sqliteDB) pool(ctx context.Context, mode string, pragmas ...string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", sqliteDSN(d.path, mode, pragmas...))
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(d.explain(err), db.Close())
	}
	return db, nil
}

// sqliteDSN escapes the path, so that a `?`, `#` or `%` in it stays part of it. busy_timeout comes first: the other
// pragmas may have to wait for a lock themselves.
func sqliteDSN(path, mode string, pragmas ...string) string {
	slashed := filepath.ToSlash(path)
	if runtime.GOOS == "windows" {
		slashed = "/" + slashed
	}
	u := url.URL{Scheme: "file", Path: slashed}
	query := url.Values{"_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	if mode != "" {
		query.Set("mode", mode)
	}
	return u.String() + "?" + query.Encode()
}

func (d *sqliteDB) migrations() (goose.Dialect, fs.FS) {
	sub, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	if err != nil {
		panic(err) // the path is a constant
	}
	return goose.DialectSQLite3, sub
}

func (d *sqliteDB) exclusively(_ context.Context, _ *sql.DB, fn func() error) error { return fn() }

func (d *sqliteDB) begin() string { return "BEGIN" }

// beginWrite locks nothing before something is written, so that nothing has to be synced where nothing is; a firm one takes
// the write lock at once.
func (d *sqliteDB) beginWrite(firm bool) (begin, clock string) {
	if firm {
		return "BEGIN IMMEDIATE", ""
	}
	return "BEGIN", ""
}

func (d *sqliteDB) clock() string                            { return "" }
func (d *sqliteDB) notify() string                           { return "" }
func (d *sqliteDB) poisoned() bool                           { return false }
func (d *sqliteDB) storable(text string) string              { return text }
func (d *sqliteDB) restored(r row) row                       { return r }
func (d *sqliteDB) shared() bool                             { return false }
func (d *sqliteDB) leads() string                            { return "" }
func (d *sqliteDB) listen(context.Context, func(news)) error { return nil }

func (d *sqliteDB) placeholders(query string) string { return query }
func (d *sqliteDB) claim() string                    { return "" } // there is one writer
func (d *sqliteDB) unindexed(column string) string   { return "+" + column }
func (d *sqliteDB) close() error                     { return nil }

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// overtaken: who has read cannot wait for another writer, whether that has committed (SQLITE_BUSY_SNAPSHOT) or not; what
// was read would no longer be true.
func (d *sqliteDB) overtaken(err error) bool {
	return sqliteCode(err)&0xff == sqlite3.SQLITE_BUSY
}

func (d *sqliteDB) conflict(err error) bool {
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

func (d *sqliteDB) orphan(err error) bool {
	return sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
}

func (d *sqliteDB) broken(err error) bool {
	switch sqliteCode(err) & 0xff {
	case 0, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE:
		return lost(err)
	}
	return true
}

// lost reports that the connection has gone.
func lost(err error) bool {
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
}

// explain adds what to do to the errors that an operator meets.
func (d *sqliteDB) explain(err error) error {
	var advice string
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_NOTADB:
		advice = "the file is not a SQLite database: name another file, or move this one away"
	case sqlite3.SQLITE_CORRUPT:
		advice = "the file is damaged: stop the Collector and restore it from a backup, or rescue it with `sqlite3 FILE .recover`, or move it away to start anew"
	case sqlite3.SQLITE_FULL:
		advice = "the disk is full: free space on it; nothing that was committed is lost"
	case sqlite3.SQLITE_READONLY:
		advice = "the file cannot be written: the Collector's user needs write access to it and to its directory"
	case sqlite3.SQLITE_CANTOPEN:
		advice = "the file cannot be opened: its directory must exist, and the Collector's user must be able to write there"
	case sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		advice = "access is denied: the Collector's user needs write access to the file and to its directory"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		advice = "another process keeps the file locked: one Collector per file, and no open transaction in another program"
	case sqlite3.SQLITE_IOERR:
		advice = "the disk reports an error: look at the system's log; the file must not lie on a network file system"
	default:
		return err
	}
	return fmt.Errorf("%s: %s: %w", d.path, advice, err)
}

// present finds a file that was removed or replaced while it is in use: SQLite would go on writing to a file that
// nobody can open again.
func (d *sqliteDB) present() error {
	now, err := os.Stat(d.path)
	if err != nil {
		return fmt.Errorf("the ledger's file has gone while in use; restart the Collector: %w", err)
	}
	if !os.SameFile(now, d.opened) {
		return fmt.Errorf("%s was replaced while in use, and what is written now will be lost: restart the Collector", d.path)
	}
	return nil
}

func (d *sqliteDB) size() (int64, error) {
	var bytes int64
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(d.path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		bytes += info.Size()
	}
	return bytes, nil
}
