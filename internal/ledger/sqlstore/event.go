package sqlstore

import "github.com/otelcol-escalation/otelcol-escalation/internal/ledger"

const (
	eventColumns = "at, name, episode_id, person, severity, owner, rule, reason, receiver, note, before, step"
	insertEvent  = "INSERT INTO events (" + eventColumns + ") VALUES (?, ?, NULLIF(?, ''), ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq"
	selectEvent  = "SELECT seq, at, name, COALESCE(episode_id, ''), person, severity, owner, rule, reason, receiver, note, before, step FROM events "
)

func (t *tx) AppendEvent(e *ledger.Event) error {
	if e.At.IsZero() {
		e.At = t.now
	}
	seq, err := t.insert(insertEvent,
		nanos(e.At), e.Name, e.EpisodeID, e.By, int64(e.Severity), e.Owner, e.Rule, e.Reason, e.Receiver, e.Note,
		e.From, int64(e.Step))
	if err != nil {
		return err
	}
	e.Seq = seq
	return nil
}

func scanEvent(r row) (*ledger.Event, error) {
	e := &ledger.Event{}
	err := r.Scan(&e.Seq, timeAt{&e.At}, &e.Name, &e.EpisodeID, &e.By, &e.Severity, &e.Owner, &e.Rule, &e.Reason,
		&e.Receiver, &e.Note, &e.From, &e.Step)
	return e, err
}

func (t *tx) EpisodeEvents(episodeID string) ([]*ledger.Event, error) {
	return list(t, scanEvent, selectEvent+"WHERE episode_id = ? ORDER BY seq", episodeID)
}

func (t *tx) LastEvent() (int64, error) {
	last, err := list(t, scanInt, "SELECT seq FROM events ORDER BY seq DESC LIMIT 1")
	if err != nil || len(last) == 0 {
		return 0, err
	}
	return last[0], nil
}

func (t *tx) EventsAfter(seq int64, limit int) ([]*ledger.Event, error) {
	return list(t, scanEvent, selectEvent+"WHERE seq > ? ORDER BY seq LIMIT ?", seq, limit)
}
