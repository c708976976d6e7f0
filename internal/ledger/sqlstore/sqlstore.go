// Package sqlstore keeps the ledger in a SQL database: an embedded SQLite file, or a database on a
// PostgreSQL server.
//
// All writes go through one goroutine and one connection. What waits while a commit is on its way to the disk shares
// the next one, so that the number of commits follows the disk's speed and not the number of callers.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/otelcol-escalation/otelcol-escalation/internal/failpoint"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Driver names a kind of database.
type Driver string

// The databases.
const (
	SQLite   Driver = "sqlite"   // a file
	Postgres Driver = "postgres" // a database on a server
)

// Options says which database, and who is told about its work.
type Options struct {
	Driver Driver
	// DataSource is a file's path, or a connection string.
	DataSource string
	// ServerClock has the clock of a server decide what is due, not the clocks of its callers, which may differ.
	ServerClock bool
	// OnCommit, where set, is called before each commit with the number of updates that it carries; what it returns
	// is called with the commit's error. Both run on the writer's goroutine and must be quick.
	OnCommit func(updates int) func(error)
}

// Validate finds what is wrong without touching the database.
func (o Options) Validate() error {
	d, err := dialectOf(o.Driver)
	if err != nil {
		return err
	}
	return d.validate(o.DataSource)
}

// readers bounds the connections that read at the same time.
const readers = 4

// Ledger is a ledger in a SQL database.
type Ledger struct {
	dialect  dialect
	write    *sql.DB
	read     *sql.DB
	onCommit func(int) func(error)
	// clocked says that the database's clock decides.
	clocked bool

	requests chan *request
	probes   chan *request // each served alone
	quit     chan struct{} // closed by Close
	stopped  chan struct{} // closed when the writer has gone
	closing  sync.Once
	closeErr error

	// failure is why the last attempt to write failed, nil when it succeeded.
	failure atomic.Pointer[failure]

	// sessions are idle readers; slots bounds those in use.
	sessions chan *session
	slots    chan struct{}

	observed observed

	changedMu sync.Mutex
	changed   chan struct{}
	standing  ledger.Standing // under changedMu, too
}

var _ ledger.Ledger = (*Ledger)(nil)

type failure struct{ err error }

// Open opens the database, brings its schema up to date and starts the writer. now is when counting begins where the
// database is new.
func Open(ctx context.Context, now time.Time, opts Options) (*Ledger, error) {
	d, err := dialectOf(opts.Driver)
	if err != nil {
		return nil, err
	}
	if err := d.validate(opts.DataSource); err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	write, read, err := d.open(ctx, opts.DataSource)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	l := &Ledger{
		dialect:  d,
		write:    write,
		read:     read,
		onCommit: opts.OnCommit,
		clocked:  d.clock() != "" && opts.ServerClock,
		requests: make(chan *request, maxGroup),
		probes:   make(chan *request),
		quit:     make(chan struct{}),
		stopped:  make(chan struct{}),
		sessions: make(chan *session, readers),
		slots:    make(chan struct{}, readers),
		changed:  make(chan struct{}),
	}
	if err := l.prepare(ctx, now); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ledger: %w", err), read.Close(), write.Close(), d.close())
	}
	return l, nil
}

func dialectOf(driver Driver) (dialect, error) {
	switch driver {
	case SQLite:
		return &sqliteDB{}, nil
	case Postgres:
		return &postgresDB{}, nil
	}
	return nil, fmt.Errorf("driver %q is not known: use %q or %q", driver, SQLite, Postgres)
}

// prepare leaves the writer running, or nothing.
func (l *Ledger) prepare(ctx context.Context, now time.Time) error {
	if err := l.dialect.exclusively(ctx, l.write, func() error { return migrate(ctx, l.dialect, l.write) }); err != nil {
		return err
	}
	s, err := newSession(ctx, l.write, l.dialect)
	if err != nil {
		return l.dialect.explain(err)
	}
	if err := s.exec(ctx, "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
		settingCountersSince, now.UTC().Format(time.RFC3339Nano)); err != nil {
		return errors.Join(l.dialect.explain(err), s.close())
	}
	open, err := openEpisodes(ctx, s)
	if err != nil {
		return errors.Join(l.dialect.explain(err), s.close())
	}
	l.observed.reset(open)
	l.standing = ledger.Standing{Shared: l.dialect.shared(), Leads: !l.dialect.shared()}
	l.observed.shared = l.standing.Shared
	if err := l.dialect.listen(ctx, l.heard); err != nil {
		return errors.Join(err, s.close())
	}
	go l.writeAll(s)
	return nil
}

func migrate(ctx context.Context, d dialect, db *sql.DB) error {
	kind, files := d.migrations()
	provider, err := goose.NewProvider(kind, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	have, err := provider.GetDBVersion(ctx)
	if err != nil {
		return d.explain(err)
	}
	sources := provider.ListSources()
	if newest := sources[len(sources)-1].Version; have > newest {
		return fmt.Errorf("the database has schema version %d and this Collector knows versions up to %d: a newer Collector has written it; use that one, or another file", have, newest)
	}
	failpoint.Reach(failpoint.BeforeMigration)
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema up to date: %w", d.explain(err))
	}
	failpoint.Reach(failpoint.AfterMigration)
	return nil
}

// Close waits for the writer, moves what is in the write-ahead log into the file and releases the database. Updates
// that still wait fail.
func (l *Ledger) Close() error {
	l.closing.Do(func() {
		close(l.quit)
		<-l.stopped
		l.closeErr = l.dialect.close() // what listens still announces
		// Take every slot, so that no reader is at work.
		for range readers {
			l.slots <- struct{}{}
		}
		close(l.sessions)
		for s := range l.sessions {
			l.closeErr = errors.Join(l.closeErr, s.close())
		}
		l.closeErr = errors.Join(l.closeErr, l.read.Close(), l.write.Close())
	})
	return l.closeErr
}

// Changed returns a channel that is closed at the next commit that changed something.
func (l *Ledger) Changed() <-chan struct{} {
	l.changedMu.Lock()
	defer l.changedMu.Unlock()
	return l.changed
}

// Standing is what this Collector is among those that use the database.
func (l *Ledger) Standing() ledger.Standing {
	l.changedMu.Lock()
	defer l.changedMu.Unlock()
	return l.standing
}

// heard takes over what the dialect has heard of others.
func (l *Ledger) heard(n news) {
	l.changedMu.Lock()
	l.standing.Leads = n.leads
	if n.commit {
		l.standing.Others++
	}
	l.changedMu.Unlock()
	l.announce()
}

func (l *Ledger) announce() {
	l.changedMu.Lock()
	defer l.changedMu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}

// Observe keeps the latest observation of open episodes.
func (l *Ledger) Observe(observations map[string]ledger.Observation) { l.observed.take(observations) }

// OpenEpisodes is how many episodes are open.
func (l *Ledger) OpenEpisodes() int { return l.observed.open() }

// Size is how many bytes the database takes on the disk.
func (l *Ledger) Size() (int64, error) { return l.dialect.size() }

func (l *Ledger) failed(err error) {
	if err == nil {
		l.failure.Store(nil)
		return
	}
	l.failure.Store(&failure{err: err})
}
