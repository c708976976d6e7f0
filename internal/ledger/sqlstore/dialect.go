package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// dialect is everything in which databases differ. What is not here is SQL that SQLite and PostgreSQL both speak.
type dialect interface {
	// validate checks a data source without opening it.
	validate(dataSource string) error
	// open refuses a database that something else made, before it touches it. It returns the pool for the writer and the one for readers; they may be the same.
	open(ctx context.Context, dataSource string) (write, read *sql.DB, err error)
	// migrations are the schema's versions, and goose's name of the database.
	migrations() (goose.Dialect, fs.FS)
	// exclusively runs what changes the schema while no other process does.
	exclusively(ctx context.Context, db *sql.DB, fn func() error) error
	// begin starts a reader's transaction, which sees one state.
	begin() string
	// beginWrite starts a writer's. A firm one cannot be overtaken by another writer. clock, where there is one, is what to
	// ask next: the time in microseconds since 1970 that the transaction goes by.
	beginWrite(firm bool) (begin, clock string)
	// clock asks a shared database for its time; "" for one that goes by its callers' clocks.
	clock() string
	// shared says that several Collectors may use the database at the same time. One of them leads.
	shared() bool
	// leads finds a row where this Collector leads; "" where nobody else could.
	leads() string
	// notify tells others of a commit, within its transaction, and listen hears of theirs, and of who leads, until close.
	notify() string
	listen(ctx context.Context, heard func(news)) error
	// poisoned says that a failed statement spoils the transaction, though it has changed nothing.
	poisoned() bool
	// storable makes text one that the database can hold, and restored reads a row back as it was given.
	storable(text string) string
	restored(r row) row
	// placeholders turns ? into the database's own form.
	placeholders(query string) string
	// unindexed is a column in a condition that must not choose the index: of a database that chooses by statistics, the column.
	unindexed(column string) string
	// claim ends a SELECT whose rows no other transaction may claim.
	claim() string
	// overtaken reports that another process wrote first: the transaction has to run again from its start.
	overtaken(err error) bool
	// conflict reports a broken uniqueness, orphan a reference to something that does not exist.
	conflict(err error) bool
	orphan(err error) bool
	// broken reports that the database could not do its work, whatever it was asked.
	broken(err error) bool
	// explain says what a person can do about an error of the database.
	explain(err error) error
	// present reports whether the database is still the one that was opened.
	present() error
	// size is the number of bytes that the database takes.
	size() (int64, error)
	// close releases what open took beyond the pools.
	close() error
}

// news is what listen has heard.
type news struct {
	leads  bool // this Collector leads
	commit bool // another has committed something, or may have
}

// errClosed is returned by a ledger that has been closed.
var errClosed = errors.New("the ledger is closed")
