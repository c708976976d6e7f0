package sqlstore

import (
	"context"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// View runs fn on a connection of its own, beside the writer.
func (l *Ledger) View(ctx context.Context, now time.Time, fn func(ledger.Tx) error) (err error) {
	select {
	case <-l.quit:
		return errClosed
	default:
	}
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return ctx.Err()
	case <-l.quit:
		return errClosed
	}
	s, err := l.reader(ctx)
	if err != nil {
		return l.dialect.explain(err)
	}
	defer func() {
		// A session whose transaction cannot be ended is not used again.
		if s.run("ROLLBACK") != nil {
			_ = s.discard()
			return
		}
		l.sessions <- s
	}()
	if err := s.exec(ctx, l.dialect.begin()); err != nil {
		return l.dialect.explain(err)
	}
	t := &tx{ctx: ctx, caller: ctx, now: now.UTC().Round(0), session: s, ledger: l}
	if l.clocked {
		if t.now, err = s.time(ctx, l.dialect.clock()); err != nil {
			return l.dialect.explain(err)
		}
	}
	return l.dialect.explain(contained(t, func(t *tx) error { return fn(t) }))
}

func (l *Ledger) reader(ctx context.Context) (*session, error) {
	select {
	case s := <-l.sessions:
		return s, nil
	default:
		return newSession(ctx, l.read, l.dialect)
	}
}
