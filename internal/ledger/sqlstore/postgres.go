package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/postgres/*.sql
var postgresMigrations embed.FS

// Advisory locks, of the ledger in one schema.
const (
	// writeLock is held by the one transaction that writes: who reads, decides and writes in one transaction needs that nobody
	// else does in between, a former Collector that lives on for one. Groups of updates share a commit, so it is held for as
	// long as that takes.
	writeLock = "(hashtext(current_schema()), 1)"
	// migrateLock is held by who brings the schema up to date.
	migrateLock = "(hashtext(current_schema()), 2)"
	// leaderLock is held by the Collector that works on what is due, through the connection that listens. It falls to another
	// with that connection.
	leaderLock = "(hashtext(current_schema()), 3)"
)

const (
	// leadRetry is how often the others try to lead.
	leadRetry = 500 * time.Millisecond
	// leadSign is how often the leader says that it lives, leadLost how long it may be silent. The server would let one that
	// is frozen keep its lock for as long as its machine answers.
	leadSign = 2 * time.Second
	leadLost = "10 seconds"
)

// What the server does by itself with a client that hangs: one that was cut off in the middle of a transaction must not
// keep its successor from writing for longer than this.
var postgresSettings = map[string]string{
	"application_name":                    "otelcol-escalation",
	"idle_in_transaction_session_timeout": "10s",
	"statement_timeout":                   "30s",
	"lock_timeout":                        "15s",
	"tcp_keepalives_idle":                 "5",
	"tcp_keepalives_interval":             "2",
	"tcp_keepalives_count":                "3",
	"tcp_user_timeout":                    "10s",
	"TimeZone":                            "UTC",
	"client_encoding":                     "UTF8",
	"synchronous_commit":                  "on",
	"jit":                                 "off", // short statements only
}

// connectTimeout bounds one attempt to reach the server.
const connectTimeout = 5 * time.Second

// notifyChannel is where commits are told to other replicas.
const notifyChannel = "otelcol_escalation_ledger"

// postgresDB is a database, or a schema of one, on a server. Several Collectors may use it; one of them leads.
type postgresDB struct {
	config *pgx.ConnConfig
	// self tells our own notifications from those of others.
	self string
	// session is the server's number of the session that listens, and may hold the leader's lock.
	session atomic.Int64
	stop    context.CancelFunc
	done    chan struct{}
	read    *sql.DB
}

// parse reads a connection string. What pgx says of one it cannot read may hold the password: it is not passed on.
func (d *postgresDB) parse(dataSource string) (*pgx.ConnConfig, error) {
	if strings.TrimSpace(dataSource) == "" {
		return nil, errors.New("must be a connection string, such as postgres://user:password@host:5432/alerts or host=… dbname=… (got nothing)")
	}
	config, err := pgx.ParseConfig(dataSource)
	if err != nil {
		return nil, errors.New("must be a connection string, such as postgres://user:password@host:5432/alerts or host=… dbname=… (it cannot be read, and is not shown, for it may hold a password)")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	for name, value := range postgresSettings {
		if _, given := config.RuntimeParams[name]; !given {
			config.RuntimeParams[name] = value
		}
	}
	// A server that has vanished is noticed about as soon as it notices a client that has.
	config.DialFunc = (&net.Dialer{
		Timeout: config.ConnectTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
	}).DialContext
	return config, nil
}

func (d *postgresDB) validate(dataSource string) error {
	_, err := d.parse(dataSource)
	return err
}

func (d *postgresDB) open(ctx context.Context, dataSource string) (write, read *sql.DB, err error) {
	if d.config, err = d.parse(dataSource); err != nil {
		return nil, nil, err
	}
	d.self = rand.Text()
	write = stdlib.OpenDB(*d.config)
	write.SetMaxOpenConns(2) // the writer's, and one for the migrations' lock
	if err := write.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(d.explain(err), write.Close())
	}
	if err := d.ours(ctx, write); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	readers := d.config.Copy()
	readers.RuntimeParams["default_transaction_read_only"] = "on"
	read = stdlib.OpenDB(*readers)
	d.read = read
	return write, read, nil
}

// ours lets a database pass whose schema is empty, or holds a ledger.
func (d *postgresDB) ours(ctx context.Context, db *sql.DB) error {
	var tables, known int
	err := db.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE table_name IN ('goose_db_version', 'episodes'))
FROM information_schema.tables WHERE table_schema = current_schema()`).Scan(&tables, &known)
	if err != nil {
		return d.explain(err)
	}
	if tables > 0 && known < 2 {
		return fmt.Errorf("%s holds tables of another program: name a database, or a schema with search_path, of the ledger's own", d.name())
	}
	return nil
}

// name says which database it is, without user and password.
func (d *postgresDB) name() string {
	return fmt.Sprintf("the database %q on %s", d.config.Database, net.JoinHostPort(d.config.Host, strconv.Itoa(int(d.config.Port))))
}

func (d *postgresDB) migrations() (goose.Dialect, fs.FS) {
	sub, err := fs.Sub(postgresMigrations, "migrations/postgres")
	if err != nil {
		panic(err) // the path is a constant
	}
	return goose.DialectPostgres, sub
}

// exclusively keeps other replicas from changing the schema at the same time.
func (d *postgresDB) exclusively(ctx context.Context, db *sql.DB, fn func() error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return d.explain(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock"+migrateLock); err != nil {
		return d.explain(err)
	}
	defer func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock"+migrateLock)
	}()
	return fn()
}

// begin of a reader sees one state; a writer has the lock, and so what it reads stays true. Its own statements see what it
// has written.
func (d *postgresDB) begin() string { return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" }
func (d *postgresDB) beginWrite(bool) (begin, clock string) {
	return "BEGIN ISOLATION LEVEL READ COMMITTED",
		"SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM pg_advisory_xact_lock" + writeLock
}

func (d *postgresDB) clock() string {
	return "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
}

// claim: rows that somebody else holds are passed over, should another program lock some.
func (d *postgresDB) claim() string                  { return " FOR UPDATE SKIP LOCKED" }
func (d *postgresDB) unindexed(column string) string { return column }

// poisoned: after a failed statement a transaction takes no other.
func (d *postgresDB) poisoned() bool { return true }

// placeholders numbers them: ? is the next one, ?1 the first.
func (d *postgresDB) placeholders(query string) string {
	var b strings.Builder
	next := 0
	for i := 0; i < len(query); i++ {
		if query[i] != '?' {
			b.WriteByte(query[i])
			continue
		}
		b.WriteByte('$')
		if i+1 < len(query) && query[i+1] >= '1' && query[i+1] <= '9' {
			continue // the digit follows
		}
		next++
		b.WriteString(strconv.Itoa(next))
	}
	return b.String()
}

// storable is text as the server takes it: valid, and without the character of the number 0, which becomes two others.
func (d *postgresDB) storable(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if !strings.ContainsAny(text, "\x00\x01") {
		return text
	}
	return strings.NewReplacer("\x01", "\x01b", "\x00", "\x01a").Replace(text)
}

func (d *postgresDB) restored(r row) row { return unescaped{r} }

// unescaped is a row whose text is as it was before storable.
type unescaped struct{ row }

func (u unescaped) Scan(into ...any) error {
	if err := u.row.Scan(into...); err != nil {
		return err
	}
	for _, to := range into {
		v := reflect.ValueOf(to)
		if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.String {
			continue
		}
		if text := v.Elem().String(); strings.ContainsRune(text, '\x01') {
			v.Elem().SetString(strings.NewReplacer("\x01b", "\x01", "\x01a", "\x00").Replace(text))
		}
	}
	return nil
}

func (d *postgresDB) notify() string {
	return "SELECT pg_notify('" + notifyChannel + "', '" + d.self + "')"
}

func postgresCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// overtaken: with the lock nobody writes in between; a serialization failure or a deadlock with another program's transaction
// is over when it has run again.
func (d *postgresDB) overtaken(err error) bool {
	switch postgresCode(err) {
	case "40001", "40P01":
		return true
	}
	return false
}

func (d *postgresDB) conflict(err error) bool { return postgresCode(err) == "23505" }
func (d *postgresDB) orphan(err error) bool   { return postgresCode(err) == "23503" }

// broken is everything but what the statement itself is to blame for: classes 21 to 23 (data, constraints), 42 (syntax, access)
// and 54 (limits).
func (d *postgresDB) broken(err error) bool {
	code := postgresCode(err)
	if code == "" {
		return lost(err) || errors.Is(err, net.ErrClosed) || isNet(err) || pgconn.Timeout(err)
	}
	switch code[:2] {
	case "21", "22", "23", "42", "54":
		return false
	}
	return true
}

func isNet(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok || errors.Is(err, context.DeadlineExceeded)
}

// explain adds what to do to the errors that an operator meets. What pgx says of a connection names user and database, never
// the password.
func (d *postgresDB) explain(err error) error {
	if err == nil {
		return nil
	}
	var advice string
	switch code := postgresCode(err); {
	case code == "28P01" || code == "28000":
		advice = "the server refuses user or password: correct datasource, or pg_hba.conf on the server"
	case code == "3D000":
		advice = "there is no such database: create it, the ledger makes its tables itself"
	case code == "42501":
		advice = "access is denied: the user needs to create tables in the schema, and to read and write them"
	case code == "53100":
		advice = "the server's disk is full: free space on it; nothing that was committed is lost"
	case code == "53300":
		advice = "the server takes no more connections: raise max_connections, a Collector needs up to 7"
	case code == "57P01" || code == "57P02" || code == "57P03":
		advice = "the server is shutting down or starting"
	case code == "55P03":
		advice = "another program, or a replica that hangs, keeps the ledger locked"
	case code == "25006":
		advice = "the server is read-only: name the primary (target_session_attrs=read-write)"
	default:
		if _, refused := errors.AsType[*pgconn.ConnectError](err); !refused {
			return err
		}
		advice = "the server cannot be reached"
	}
	return fmt.Errorf("%s: %s: %w", d.name(), advice, err)
}

func (d *postgresDB) present() error { return nil } // the trial to write tells

func (d *postgresDB) size() (bytes int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	err = d.read.QueryRowContext(ctx, `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind = 'r'`).Scan(&bytes)
	return bytes, err
}

func (d *postgresDB) shared() bool { return true }

// heldLock selects the leader's lock, where somebody holds it.
const heldLock = `l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.objid = 3
	AND l.classid = (hashtext(current_schema())::bigint & 4294967295)::oid
	AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`

func (d *postgresDB) leads() string {
	return "SELECT 1 FROM pg_locks l WHERE l.pid = " + strconv.FormatInt(d.session.Load(), 10) + " AND " + heldLock
}

// listen tells of commits of other Collectors, and where commits may have been missed because the connection was lost, and of
// who leads. It listens when it returns.
func (d *postgresDB) listen(ctx context.Context, heard func(news)) error {
	conn, leads, err := d.hear(ctx)
	if err != nil {
		return d.explain(err)
	}
	heard(news{leads: leads})
	working, cancel := context.WithCancel(context.Background())
	d.stop, d.done = cancel, make(chan struct{})
	go func() {
		defer close(d.done)
		for {
			d.follow(working, conn, leads, heard)
			if working.Err() != nil {
				return
			}
			heard(news{commit: true}) // who cannot be heard does not lead
			for {
				select {
				case <-working.Done():
					return
				case <-time.After(time.Second): // the server is away: Healthy says so
				}
				if conn, leads, err = d.hear(working); err == nil {
					break
				}
			}
			heard(news{leads: leads, commit: true})
		}
	}()
	return nil
}

// hear connects the one who listens, and has it lead where nobody does.
func (d *postgresDB) hear(ctx context.Context) (conn *pgx.Conn, leads bool, err error) {
	conn, err = pgx.ConnectConfig(ctx, d.config.Copy())
	if err != nil {
		return nil, false, err
	}
	if _, err = conn.Exec(ctx, "LISTEN "+notifyChannel); err == nil {
		leads, err = d.lead(ctx, conn)
	}
	if err != nil {
		return nil, false, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	d.session.Store(int64(conn.PgConn().PID()))
	return conn, leads, nil
}

// lead takes the leader's lock where nobody has it, and ends the session of a leader that has gone silent: the next try
// may succeed.
func (d *postgresDB) lead(ctx context.Context, conn *pgx.Conn) (leads bool, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock"+leaderLock).Scan(&leads)
	if err != nil || leads {
		return leads, err
	}
	_, err = conn.Exec(ctx, `SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE `+heldLock+`
	AND a.state_change < clock_timestamp() - interval '`+leadLost+`'`)
	return false, err
}

// follow hears notifications until the connection fails or ctx ends. While another Collector leads, it tries to.
func (d *postgresDB) follow(ctx context.Context, conn *pgx.Conn, leads bool, heard func(news)) {
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_ = conn.Close(ending)
	}()
	for last := time.Now(); ; {
		every := leadRetry
		if leads {
			every = leadSign
		}
		waiting, cancel := context.WithDeadline(ctx, last.Add(every))
		n, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil && n.Payload != d.self:
			heard(news{leads: leads, commit: true})
		case err != nil && (ctx.Err() != nil || conn.IsClosed()):
			return
		}
		if time.Since(last) < every {
			continue
		}
		last = time.Now()
		asking, cancel := context.WithTimeout(ctx, connectTimeout)
		if leads {
			err = conn.Ping(asking)
		} else if leads, err = d.lead(asking, conn); leads {
			heard(news{leads: true, commit: true})
		}
		cancel()
		if err != nil {
			return
		}
	}
}

func (d *postgresDB) close() error {
	if d.stop != nil {
		d.stop()
		<-d.done
	}
	return nil
}
