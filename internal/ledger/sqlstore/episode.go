package sqlstore

import (
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const episodeColumns = "id, alert_id, group_id, rule_group, rule, owner, severity, highest, labels, annotations, " +
	"response, source_metric, source_unit, reason, value, peak, threshold, firing_level, actions, started_at, " +
	"starts_at, observed_at, judged_at, seen_at, opened_at, raised_at, lost_at, notified_at, acknowledged_at, " +
	"acknowledged_by, snoozed_until, snoozed_by, ended_at, ended_by, ender, outcome, suppressed, verdict, verdict_by, " +
	"verdict_at, note, held, held_until, recent, flap_noticed_at, levels, trace, in_hand"

var (
	putEpisode    = upsert("episodes", []string{"id"}, episodeColumns+", tally")
	selectEpisode = "SELECT " + episodeColumns + " FROM episodes "
)

func (t *tx) PutEpisode(e *ledger.Episode) error {
	err := t.write(putEpisode,
		e.ID, e.AlertID, e.GroupID, e.RuleGroup, e.Rule, e.Owner, int64(e.Severity), int64(e.Highest),
		document[map[string]string]{e.Labels}, document[map[string]string]{e.Annotations},
		e.Response, e.SourceMetric, e.SourceUnit, string(e.Reason),
		number{e.Value}, number{e.Peak}, number{e.Threshold}, number{e.FiringLevel}, document[[]alert.Action]{e.Actions},
		nanos(e.StartedAt), nanos(e.StartsAt), nanos(e.ObservedAt), nanos(e.JudgedAt), nanos(e.SeenAt),
		nanos(e.OpenedAt), nanos(e.RaisedAt), nanos(e.LostAt), nanos(e.NotifiedAt),
		nanos(e.AcknowledgedAt), e.AcknowledgedBy, nanos(e.SnoozedUntil), e.SnoozedBy,
		nanos(e.EndedAt), string(e.EndedBy), e.Ender, string(e.Outcome), e.Suppressed,
		string(e.Verdict), e.VerdictBy, nanos(e.VerdictAt), e.Note,
		e.Held, nanos(e.HeldUntil), document[[]time.Time]{e.Recent}, nanos(e.FlapNoticedAt), document[ledger.Levels]{e.Levels}, document[ledger.Trace]{e.Trace}, flag(e.InHand), tallyState(e))
	if err != nil {
		return err
	}
	t.effects = append(t.effects, effect{episodeID: e.ID, open: e.Open(), judgedAt: e.JudgedAt})
	return nil
}

func (t *tx) scanEpisode(r row) (*ledger.Episode, error) {
	e := &ledger.Episode{}
	err := r.Scan(
		&e.ID, &e.AlertID, &e.GroupID, &e.RuleGroup, &e.Rule, &e.Owner, &e.Severity, &e.Highest,
		documentAt[map[string]string]{&e.Labels}, documentAt[map[string]string]{&e.Annotations},
		&e.Response, &e.SourceMetric, &e.SourceUnit, &e.Reason,
		numberAt{&e.Value}, numberAt{&e.Peak}, numberAt{&e.Threshold}, numberAt{&e.FiringLevel}, documentAt[[]alert.Action]{&e.Actions},
		timeAt{&e.StartedAt}, timeAt{&e.StartsAt}, timeAt{&e.ObservedAt}, timeAt{&e.JudgedAt}, timeAt{&e.SeenAt},
		timeAt{&e.OpenedAt}, timeAt{&e.RaisedAt}, timeAt{&e.LostAt}, timeAt{&e.NotifiedAt},
		timeAt{&e.AcknowledgedAt}, &e.AcknowledgedBy, timeAt{&e.SnoozedUntil}, &e.SnoozedBy,
		timeAt{&e.EndedAt}, &e.EndedBy, &e.Ender, &e.Outcome, &e.Suppressed,
		&e.Verdict, &e.VerdictBy, timeAt{&e.VerdictAt}, &e.Note,
		&e.Held, timeAt{&e.HeldUntil}, documentAt[[]time.Time]{&e.Recent}, timeAt{&e.FlapNoticedAt}, documentAt[ledger.Levels]{&e.Levels},
		documentAt[ledger.Trace]{&e.Trace}, &e.InHand)
	if err != nil {
		return nil, err
	}
	if t.ledger.observed.shared && !t.writable {
		t.ledger.observed.know(e)
	}
	t.ledger.observed.show(e)
	return e, nil
}

func (t *tx) Episode(id string) (*ledger.Episode, error) {
	return one(t, t.scanEpisode, selectEpisode+"WHERE id = ?", id)
}

// LastEpisode goes by the evaluator's clock, which is strictly increasing per alert, where OpenedAt may fall back with
// the system's clock.
func (t *tx) LastEpisode(alertID string) (*ledger.Episode, error) {
	// In one statement: most alerts that are asked for are new ones, of which neither is there.
	return one(t, t.scanEpisode, selectEpisode+"WHERE id = COALESCE("+
		"(SELECT id FROM episodes WHERE alert_id = ? AND ended_at = 0), "+
		"(SELECT id FROM episodes WHERE alert_id = ? ORDER BY judged_at DESC, opened_at DESC LIMIT 1))", alertID, alertID)
}

func (t *tx) GroupEpisodes(groupID string) ([]*ledger.Episode, error) {
	if groupID == "" {
		return nil, nil // episodes without a group have none in common
	}
	return list(t, t.scanEpisode, selectEpisode+"WHERE group_id = ? ORDER BY opened_at, id", groupID)
}

func (t *tx) DigestEpisodes(digestID string) ([]*ledger.Episode, error) {
	if digestID == "" {
		return nil, nil
	}
	return list(t, t.scanEpisode, selectEpisode+
		"WHERE group_id IN (SELECT id FROM page_groups WHERE digest_id = ? AND digest_id <> '') ORDER BY opened_at, id", digestID)
}

// defaultPage is how many episodes a query returns that does not say.
const defaultPage = 1000

func (t *tx) Episodes(q ledger.Query) ([]*ledger.Episode, error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	// Without statistics SQLite may take any index for any of the conditions. Only what selects the fewest may use its own.
	narrowest := narrowest(&q)
	text := func(column, value string) {
		if column == narrowest {
			add(column+" = ?", value)
		} else {
			add(t.ledger.dialect.unindexed(column)+" = ?", value)
		}
	}
	tier := func(column string, value alert.Severity) {
		if column == narrowest {
			add(column+" = ?", int64(value))
		} else {
			add(t.ledger.dialect.unindexed(column)+" = ?", int64(value))
		}
	}
	if q.Open != nil && *q.Open {
		add("ended_at = 0")
	} else if q.Open != nil {
		add("ended_at > 0")
	}
	if q.AlertID != "" {
		text("alert_id", q.AlertID)
	}
	if q.Rule != "" {
		text("rule", q.Rule)
	}
	if q.Owner != "" {
		text("owner", q.Owner)
	}
	if q.Severity != 0 {
		tier("severity", q.Severity)
	}
	if q.Highest != 0 {
		tier("highest", q.Highest)
	}
	if q.Told {
		add("(notified_at > 0 OR highest = ?)", int64(alert.Low))
	}
	if q.Verdict != "" {
		text("verdict", string(q.Verdict))
	}
	if q.Unjudged {
		text("verdict", "")
	}
	if !q.Since.IsZero() {
		add("opened_at >= ?", nanos(q.Since))
	}
	if !q.Until.IsZero() {
		add("opened_at < ?", nanos(q.Until))
	}
	if !q.EndedSince.IsZero() {
		add("ended_at >= ?", nanos(q.EndedSince))
	}
	if q.After != nil {
		add("(opened_at, id) < (?, ?)", nanos(q.After.OpenedAt), q.After.ID)
	}
	query := selectEpisode
	if len(where) > 0 {
		query += "WHERE " + strings.Join(where, " AND ") + " "
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	return list(t, t.scanEpisode, query+"ORDER BY opened_at DESC, id DESC LIMIT ?", append(args, limit)...)
}

// narrowest is the column of the condition that most likely selects the fewest episodes; "" where it is that they are open,
// or where there is none.
func narrowest(q *ledger.Query) string {
	switch {
	case q.AlertID != "":
		return "alert_id"
	case q.Open != nil && *q.Open:
		return ""
	case q.Rule != "":
		return "rule"
	case q.Owner != "":
		return "owner"
	case q.Unjudged || q.Verdict != "":
		return "verdict"
	case q.Severity != 0:
		return "severity"
	}
	return ""
}
