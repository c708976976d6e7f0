package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/failpoint"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// maxGroup is the most updates that share one commit: it bounds how long the first of them waits for the last.
const maxGroup = 256

// request is one Update on its way through the writer. Its function runs on the caller's goroutine, while the writer
// waits: the caller may leave whenever its function is not running, and nothing of it runs after it has left.
type request struct {
	ctx  context.Context
	now  time.Time
	turn chan *tx      // the writer's transaction, handed over to run the function
	back chan error    // what the function returned
	done chan error    // the final result
	left chan struct{} // closed when the caller no longer waits
}

// Update runs fn in a transaction that it may share with other callers. An error of ctx after fn has run says that
// nobody waited for the commit: it may still come.
func (l *Ledger) Update(ctx context.Context, now time.Time, fn func(ledger.Tx) error) error {
	return l.submit(ctx, l.requests, now, func(t *tx) error { return fn(t) })
}

// submit hands fn to the writer by one of its queues and waits.
func (l *Ledger) submit(ctx context.Context, queue chan<- *request, now time.Time, fn func(*tx) error) error {
	r := &request{
		ctx: ctx, now: now.UTC().Round(0),
		turn: make(chan *tx), back: make(chan error), done: make(chan error, 1), left: make(chan struct{}),
	}
	defer close(r.left)
	select {
	case queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.quit:
		return errClosed
	}
	for {
		select {
		case t := <-r.turn:
			r.back <- contained(t, fn)
		case err := <-r.done:
			return err
		case <-ctx.Done():
			select {
			case err := <-r.done:
				return err
			default:
				return ctx.Err()
			}
		case <-l.stopped:
			select {
			case err := <-r.done:
				return err
			default:
				return errClosed
			}
		}
	}
}

// errLeft marks a function that neither returned nor panicked, but ended its goroutine.
var errLeft = errors.New("the function ended its goroutine")

// contained turns a panic of fn into an error, so that one bad update cannot stop the others.
func contained(t *tx, fn func(*tx) error) (err error) {
	defer func() {
		t.over = true
		if r := recover(); r != nil {
			err = fmt.Errorf("update panicked: %v\n%s", r, debug.Stack())
		} else if err == nil {
			err = t.failed // a failed statement fails the update, whatever fn made of it
		}
	}()
	return fn(t)
}

// writeAll is the writer: it serves groups of requests until the ledger is closed.
func (l *Ledger) writeAll(s *session) {
	defer close(l.stopped)
	w := &writer{ledger: l, session: s}
	defer w.release()
	for {
		select {
		case r := <-l.requests:
			w.serve(r, maxGroup)
		case r := <-l.probes:
			w.serve(r, 1)
		case <-l.quit:
			for {
				select {
				case r := <-l.requests:
					r.done <- errClosed
				default:
					return
				}
			}
		}
	}
}

// writer owns the connection that writes.
type writer struct {
	ledger  *Ledger
	session *session // nil after it broke, until the next group
	group   []member
	effects effects
	writes  int       // members of this group that wrote
	firm    bool      // the transaction holds the write lock from its start
	now     time.Time // the database's clock at the transaction's begin, where it has one
}

// member is a request as part of a group. One that has failed takes no part any more.
type member struct {
	*request
	err error
}

// serve runs first, and what has queued up behind it until there are limit of them, in one transaction.
//
// There are no savepoints: a member that fails after it has written undoes the transaction, and those that ran before
// it run again and are committed, without anybody joining any more. That is rare, and bounded by one more run each; a
// savepoint would make every statement of a large update slower than the one before, since SQLite goes through all
// that was noted since the savepoint at the end of each.
func (w *writer) serve(first *request, limit int) {
	w.group = append(w.group[:0], member{request: first})
	err := w.begin(false)
	for i := 0; err == nil && i < len(w.group); i++ {
		if w.group[i].err != nil {
			continue // the group runs again, without it; who failed came last, so that nobody else joins
		}
		var again bool
		if again, err = w.run(i); again {
			i = -1
			continue
		}
		if i == len(w.group)-1 && len(w.group) < limit {
			select {
			case r := <-w.ledger.requests:
				w.group = append(w.group, member{request: r})
			default:
			}
		}
	}
	if err == nil {
		err = w.commit()
	}
	if err != nil {
		w.abandon(err)
	}
	for _, m := range w.group {
		m.done <- m.err
	}
	clear(w.group)
}

// begin starts the group's transaction. A firm one takes the write lock at once; otherwise nothing is locked, and
// nothing will have to be synced, before something is written.
func (w *writer) begin(firm bool) error {
	if w.session == nil {
		s, err := newSession(context.Background(), w.ledger.write, w.ledger.dialect)
		if err != nil {
			return err
		}
		w.session = s
	}
	w.effects, w.writes, w.firm = nil, 0, firm
	begin, clock := w.ledger.dialect.beginWrite(firm)
	if err := w.session.run(begin); err != nil || clock == "" {
		return err
	}
	now, err := w.session.time(context.Background(), clock)
	w.now = now
	return err
}

// clock is what a member goes by: the database's where it has one that counts.
func (w *writer) clock(m *member) time.Time {
	if w.ledger.clocked {
		return w.now
	}
	return m.request.now
}

// restart undoes everything that the group has done.
func (w *writer) restart(firm bool) error {
	if err := w.session.run("ROLLBACK"); err != nil {
		return err
	}
	return w.begin(firm)
}

// run runs one member of the group, and reports whether the group has to start again. An error is the group's, not the
// member's.
func (w *writer) run(i int) (again bool, err error) {
	m := &w.group[i]
	t := &tx{ctx: context.Background(), caller: m.ctx, now: w.clock(m), session: w.session, ledger: w.ledger, writable: true}
	failed := w.hand(m.request, t)
	cause := failed // what the database said decides, however the function put it
	if t.failed != nil {
		cause = t.failed
	}
	switch {
	case failed == nil:
		if t.wrote {
			w.writes++
			w.effects = append(w.effects, t.effects...)
		}
		return false, nil
	case !w.firm && w.ledger.dialect.overtaken(cause):
		// Another process wrote since this transaction first read. Everything that has run so far ran on a state
		// that is no longer true.
		return true, w.restart(true)
	case w.ledger.dialect.broken(cause):
		return false, cause // the next one would only find the same, perhaps after the same wait
	}
	m.err = w.ledger.dialect.explain(failed)
	if !t.wrote && (t.failed == nil || !w.ledger.dialect.poisoned()) {
		return false, nil
	}
	again = w.writes > 0 // else there is nothing to be done again
	return again, w.restart(w.firm)
}

// hand lets the caller run its function, unless it has left.
func (w *writer) hand(r *request, t *tx) error {
	select {
	case r.turn <- t:
	case <-r.left:
		return r.ctx.Err()
	}
	select {
	case err := <-r.back:
		return err
	case <-r.left: // the goroutine ended within fn
		t.over = true
		return errLeft
	}
}

func (w *writer) commit() error {
	if w.writes == 0 {
		return w.session.run("ROLLBACK")
	}
	var committed func(error)
	if w.ledger.onCommit != nil {
		committed = w.ledger.onCommit(w.writes)
	}
	var err error
	if notify := w.ledger.dialect.notify(); notify != "" {
		err = w.session.run(notify)
	}
	failpoint.Reach(failpoint.BeforeCommit)
	if err == nil {
		err = w.session.run("COMMIT")
	}
	failpoint.Reach(failpoint.AfterCommit)
	if committed != nil {
		committed(err)
	}
	if err != nil {
		return err
	}
	w.ledger.failed(nil)
	w.ledger.observed.apply(w.effects)
	w.ledger.announce()
	return nil
}

// abandon gives up the group's transaction. Who had failed keeps that error; all others get the group's, since what
// they did, and what they read of each other, is undone.
func (w *writer) abandon(err error) {
	// Whether the transaction is still open after its failure depends on the failure; without its connection it is not.
	w.drop()
	err = fmt.Errorf("write the ledger: %w", w.ledger.dialect.explain(err))
	w.ledger.failed(err)
	for i := range w.group {
		if w.group[i].err == nil {
			w.group[i].err = err
		}
	}
}

func (w *writer) drop() {
	if w.session != nil {
		_ = w.session.discard() // it is of no further use either way
		w.session = nil
	}
}

func (w *writer) release() {
	if w.session != nil {
		_ = w.session.close()
	}
}
