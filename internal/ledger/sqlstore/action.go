package sqlstore

import (
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const actionColumns = "id, episode_id, rule, owner, kind, target, mode, state, reason, requested_at, decided_at, decided_by, " +
	"note, done_at, attempts, due_at, leased_until, last_error"

var (
	putAction    = upsert("actions", []string{"id"}, actionColumns+", ready_at")
	selectAction = "SELECT " + actionColumns + " FROM actions "
)

func (t *tx) PutAction(a *ledger.Action) error {
	var ready any
	if !a.DueAt.IsZero() {
		ready = max(nanos(a.DueAt), nanos(a.LeasedUntil))
	}
	return t.write(putAction, a.ID, a.EpisodeID, a.Rule, a.Owner, string(a.Kind), a.Target, string(a.Mode), string(a.State),
		a.Reason, nanos(a.RequestedAt), nanos(a.DecidedAt), a.DecidedBy, a.Note, nanos(a.DoneAt), int64(a.Attempts),
		nanos(a.DueAt), nanos(a.LeasedUntil), a.LastError, ready)
}

func scanAction(r row) (*ledger.Action, error) {
	a := &ledger.Action{}
	err := r.Scan(&a.ID, &a.EpisodeID, &a.Rule, &a.Owner, &a.Kind, &a.Target, &a.Mode, &a.State, &a.Reason,
		timeAt{&a.RequestedAt}, timeAt{&a.DecidedAt}, &a.DecidedBy, &a.Note, timeAt{&a.DoneAt}, &a.Attempts,
		timeAt{&a.DueAt}, timeAt{&a.LeasedUntil}, &a.LastError)
	return a, err
}

func (t *tx) Action(id string) (*ledger.Action, error) {
	return one(t, scanAction, selectAction+"WHERE id = ?", id)
}

func (t *tx) Actions(q ledger.ActionQuery) ([]*ledger.Action, error) {
	var where []string
	var args []any
	add := func(condition string, value any) {
		where, args = append(where, condition), append(args, value)
	}
	if q.EpisodeID != "" {
		add("episode_id = ?", q.EpisodeID)
	}
	if q.Target != "" {
		add("target = ?", q.Target)
	}
	if q.State != "" {
		add("state = ?", string(q.State))
	}
	if !q.Since.IsZero() {
		add("requested_at >= ?", nanos(q.Since))
	}
	query := selectAction
	if len(where) > 0 {
		query += "WHERE " + strings.Join(where, " AND ") + " "
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	return list(t, scanAction, query+"ORDER BY requested_at DESC, id DESC LIMIT ?", append(args, limit)...)
}

func (t *tx) DueActions(limit int) ([]*ledger.Action, error) {
	return list(t, scanAction, selectAction+"WHERE ready_at <= ? ORDER BY ready_at, id LIMIT ?"+t.claim(), nanos(t.now), limit)
}

func (t *tx) NextActionDue() (time.Time, error) {
	at, err := list(t, scanInt, "SELECT ready_at FROM actions WHERE ready_at IS NOT NULL ORDER BY ready_at LIMIT 1")
	if err != nil || len(at) == 0 {
		return time.Time{}, err
	}
	return fromNanos(at[0]), nil
}
