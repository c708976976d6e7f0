package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Database is one database that a ledger can be opened on, again and again.
type Database interface {
	// Open opens the database; the ledger opened before has been closed.
	Open(t testing.TB) (l ledger.Ledger, closeIt func())
}

// Run checks everything that a ledger promises. create returns an empty database each time.
func Run(t *testing.T, create func(t testing.TB) Database) {
	for name, check := range map[string]func(*testing.T, *fixture){
		"episode keeps every field":                episodeRoundTrip,
		"one open episode per alert":               oneOpenEpisode,
		"last episode":                             lastEpisode,
		"last episode when the clock was set back": lastEpisodeClockBack,
		"episodes by query":                        episodesByQuery,
		"episodes page by page":                    episodesByPage,
		"group keeps every field":                  groupRoundTrip,
		"one open group per key":                   oneOpenGroup,
		"episodes of groups and digests":           episodesOfGroups,
		"due groups":                               dueGroups,
		"delivery keeps every field":               deliveryRoundTrip,
		"due deliveries":                           dueDeliveries,
		"silences":                                 silences,
		"samples of a rule":                        samples,
		"what was missed":                          misses,
		"silent tracks":                            explored,
		"thresholds that moved":                    changes,
		"actions":                                  actions,
		"test pages":                               trials,
		"groups by key, events once":               webhooks,
		"events":                                   events,
		"counters":                                 counters,
		"histograms":                               histograms,
		"tallies":                                  tallies,
		"cursors and settings":                     cursorsAndSettings,
		"hostile text":                             hostileText,
		"observations":                             observations,
		"a failing update leaves nothing":          failingUpdate,
		"a panicking update leaves nothing":        panickingUpdate,
		"a goroutine that ends within an update":   endingGoroutine,
		"an ignored error fails the update":        ignoredError,
		"a view cannot write":                      viewCannotWrite,
		"a transaction ends with its function":     txIsOver,
		"a view sees one state":                    viewSeesOneState,
		"changed":                                  changed,
		"contexts":                                 contexts,
		"concurrent updates":                       concurrentUpdates,
		"closed":                                   closed,
	} {
		t.Run(name, func(t *testing.T) {
			f := &fixture{t: t, database: create(t), now: Epoch}
			f.open()
			defer func() { f.closeIt() }()
			check(t, f)
		})
	}
}

// fixture is a ledger under test with a clock.
type fixture struct {
	t        testing.TB
	database Database
	closeIt  func()
	ledger.Ledger
	now time.Time
}

func (f *fixture) open() { f.Ledger, f.closeIt = f.database.Open(f.t) }

func (f *fixture) reopen() {
	f.closeIt()
	f.open()
}

func (f *fixture) update(fn func(ledger.Tx) error) {
	f.t.Helper()
	require.NoError(f.t, f.Update(context.Background(), f.now, fn))
}

func (f *fixture) view(fn func(ledger.Tx)) {
	f.t.Helper()
	require.NoError(f.t, f.View(context.Background(), f.now, func(tx ledger.Tx) error {
		fn(tx)
		return nil
	}))
}

func (f *fixture) put(episodes ...*ledger.Episode) {
	f.t.Helper()
	f.update(func(tx ledger.Tx) error {
		for _, e := range episodes {
			if err := tx.PutEpisode(e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fixture) episode(id string) (got *ledger.Episode) {
	f.t.Helper()
	f.view(func(tx ledger.Tx) {
		var err error
		got, err = tx.Episode(id)
		require.NoError(f.t, err)
	})
	return got
}

// at is a time n minutes after the epoch.
func at(n int) time.Time { return Epoch.Add(time.Duration(n) * time.Minute) }

// bare is an open episode with little in it.
func bare(id string, opened time.Time) *ledger.Episode {
	return &ledger.Episode{
		ID: id, AlertID: "alert of " + id, Rule: "r", Owner: "o", Severity: alert.High, Highest: alert.High,
		OpenedAt: opened, JudgedAt: opened,
	}
}

func ids(episodes []*ledger.Episode) []string {
	out := []string{}
	for _, e := range episodes {
		out = append(out, e.ID)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

func full() *ledger.Episode {
	return &ledger.Episode{
		ID: "e1", AlertID: "a1", GroupID: "g1", RuleGroup: "rg", Rule: "r", Owner: "o",
		Severity: alert.High, Highest: alert.Critical,
		Labels: map[string]string{"instance": "x:1", "": "empty name"}, Annotations: map[string]string{"summary": "Größe ✓"},
		Response: "do", SourceMetric: "m", SourceUnit: "1", Reason: alert.ReasonThreshold,
		Value: ptr(0.1 + 0.2), Peak: ptr(math.Inf(1)), Threshold: ptr(0.0), FiringLevel: ptr(math.Inf(-1)),
		Actions:  []alert.Action{alert.ActionRollback, alert.ActionManualIntervention},
		StartsAt: at(-3), StartedAt: at(-2), ObservedAt: at(-1).Add(time.Nanosecond), JudgedAt: at(1), SeenAt: at(2),
		OpenedAt: at(3), RaisedAt: at(4), LostAt: at(5), NotifiedAt: at(6), AcknowledgedAt: at(7), AcknowledgedBy: "anna",
		SnoozedUntil: at(8), SnoozedBy: "bob", EndedAt: at(9), EndedBy: ledger.EndedByPerson, Ender: "carl", InHand: true,
		Outcome: ledger.OutcomeSuppressed, Suppressed: "muted",
		Verdict: ledger.Duplicate, VerdictBy: "dora", VerdictAt: at(10), Note: "same as yesterday",
		Held: "silenced", HeldUntil: at(11), Recent: []time.Time{at(-9), at(-8)}, FlapNoticedAt: at(-7),
		Levels: ledger.Levels{alert.Critical: {Threshold: ptr(0.98), Firing: ptr(0.99), Bound: true}, alert.High: {Firing: ptr(-0.5)}},
		Trace:  ledger.Trace{{At: at(-3), Value: 0.91}, {At: at(-2).Add(time.Millisecond), Value: -1e300}},
	}
}

func episodeRoundTrip(t *testing.T, f *fixture) {
	e := full()
	f.put(e)
	assert.Equal(t, e, f.episode("e1"))

	e.Value, e.Labels, e.Annotations, e.Actions, e.EndedAt = nil, map[string]string{}, nil, nil, time.Time{}
	f.put(e)
	f.reopen()
	assert.Equal(t, e, f.episode("e1"), "replaced, after reopening")

	e.Value = ptr(math.NaN())
	f.put(e)
	got := f.episode("e1")
	require.NotNil(t, got.Value, "NaN is not the same as no value")
	assert.True(t, math.IsNaN(*got.Value))

	zero := &ledger.Episode{ID: "zero", AlertID: "other"}
	f.put(zero)
	assert.Equal(t, zero, f.episode("zero"))

	f.view(func(tx ledger.Tx) {
		_, err := tx.Episode("nobody")
		assert.ErrorIs(t, err, ledger.ErrNotFound)
		_, err = tx.LastEpisode("nobody")
		assert.ErrorIs(t, err, ledger.ErrNotFound)
	})
}

func oneOpenEpisode(t *testing.T, f *fixture) {
	first, second := bare("e1", at(0)), bare("e2", at(1))
	first.AlertID, second.AlertID = "a", "a"
	f.put(first)
	err := f.Update(context.Background(), f.now, func(tx ledger.Tx) error { return tx.PutEpisode(second) })
	assert.ErrorIs(t, err, ledger.ErrConflict)
	first.EndedAt = at(1)
	f.put(first, second)
	assert.Equal(t, second, f.episode("e2"))
}

func lastEpisode(t *testing.T, f *fixture) {
	var all []*ledger.Episode
	for i := range 5 {
		e := bare(fmt.Sprint("e", i), at(i))
		e.AlertID, e.EndedAt = "a", at(i+1)
		all = append(all, e)
	}
	f.put(all...)
	f.view(func(tx ledger.Tx) {
		e, err := tx.LastEpisode("a")
		require.NoError(t, err)
		assert.Equal(t, "e4", e.ID)
	})
}

// The evaluator's clock decides, since the ledger's may have been set back between two episodes.
func lastEpisodeClockBack(t *testing.T, f *fixture) {
	before, after := bare("before", at(60)), bare("after", at(0))
	before.AlertID, after.AlertID = "a", "a"
	before.JudgedAt, after.JudgedAt = at(1), at(2)
	before.EndedAt = at(61)
	f.put(before, after)
	for range 2 {
		f.view(func(tx ledger.Tx) {
			e, err := tx.LastEpisode("a")
			require.NoError(t, err)
			assert.Equal(t, "after", e.ID)
		})
		after.EndedAt = at(3)
		f.put(after)
	}
}

func episodesByQuery(t *testing.T, f *fixture) {
	a, b, c := bare("a", at(0)), bare("b", at(1)), bare("c", at(2))
	a.Rule, a.EndedAt, a.Verdict = "x", at(5), ledger.FalsePositive
	b.Rule, b.Owner, b.Severity = "x", "p", alert.Low
	c.Verdict, c.Severity, c.Highest = ledger.TruePositive, alert.Medium, alert.Critical
	a.Highest, b.Highest = alert.Low, alert.High
	c.AlertID, c.NotifiedAt = "of c", at(3)
	f.put(a, b, c)
	for name, test := range map[string]struct {
		query ledger.Query
		want  []string
	}{
		"all, newest first": {ledger.Query{}, []string{"c", "b", "a"}},
		"open":              {ledger.Query{Open: ptr(true)}, []string{"c", "b"}},
		"ended":             {ledger.Query{Open: ptr(false)}, []string{"a"}},
		"rule":              {ledger.Query{Rule: "x"}, []string{"b", "a"}},
		"owner":             {ledger.Query{Owner: "o"}, []string{"c", "a"}},
		"rule and owner":    {ledger.Query{Rule: "x", Owner: "o"}, []string{"a"}},
		"current severity":  {ledger.Query{Severity: alert.Medium}, []string{"c"}},
		"highest is not it": {ledger.Query{Severity: alert.Critical}, []string{}},
		"highest severity":  {ledger.Query{Highest: alert.Critical}, []string{"c"}},
		"alert":             {ledger.Query{AlertID: "of c", Since: at(0)}, []string{"c"}},
		"told of":           {ledger.Query{Told: true}, []string{"c", "a"}},
		"verdict":           {ledger.Query{Verdict: ledger.FalsePositive}, []string{"a"}},
		"unjudged":          {ledger.Query{Unjudged: true}, []string{"b"}},
		"since is included": {ledger.Query{Since: at(1)}, []string{"c", "b"}},
		"until is not":      {ledger.Query{Until: at(1)}, []string{"a"}},
		"span":              {ledger.Query{Since: at(1), Until: at(2)}, []string{"b"}},
		"limit":             {ledger.Query{Limit: 2}, []string{"c", "b"}},
		"after":             {ledger.Query{After: b, Limit: 2}, []string{"a"}},
		"open after":        {ledger.Query{Open: ptr(true), After: c}, []string{"b"}},
	} {
		f.view(func(tx ledger.Tx) {
			got, err := tx.Episodes(test.query)
			require.NoError(t, err, name)
			assert.Equal(t, test.want, ids(got), name)
		})
	}
}

func episodesByPage(t *testing.T, f *fixture) {
	const n = 2500 // more than a page without a limit has
	var all []*ledger.Episode
	for i := range n {
		all = append(all, bare(fmt.Sprintf("e%05d", i), at(i/10))) // ten share each opening time
	}
	f.put(all...)
	f.view(func(tx ledger.Tx) {
		got, err := tx.Episodes(ledger.Query{})
		require.NoError(t, err)
		assert.Len(t, got, 1000, "the limit where none is given")
		var seen []string
		q := ledger.Query{Limit: 333}
		for {
			page, err := tx.Episodes(q)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			seen = append(seen, ids(page)...)
			q.After = page[len(page)-1]
		}
		require.Len(t, seen, n, "every episode once")
		for i, id := range seen {
			require.Equal(t, fmt.Sprintf("e%05d", n-1-i), id)
		}
	})
}

func cursorsAndSettings(t *testing.T, f *fixture) {
	f.view(func(tx ledger.Tx) {
		position, err := tx.Cursor("c")
		require.NoError(t, err)
		assert.Zero(t, position)
		value, err := tx.Setting("s")
		require.NoError(t, err)
		assert.Empty(t, value)
	})
	f.update(func(tx ledger.Tx) error {
		return errors.Join(tx.PutCursor("c", 1), tx.PutCursor("c", math.MaxInt64), tx.PutSetting("s", "v"), tx.PutSetting("s", "w"))
	})
	f.reopen()
	f.view(func(tx ledger.Tx) {
		position, err := tx.Cursor("c")
		require.NoError(t, err)
		assert.Equal(t, int64(math.MaxInt64), position)
		value, err := tx.Setting("s")
		require.NoError(t, err)
		assert.Equal(t, "w", value)
	})
}

func hostileText(t *testing.T, f *fixture) {
	for i, text := range []string{
		`'; DROP TABLE episodes; --`, `"`, "\\", "%s%n", "{{ .Secret }}", "a\x00b", "\u202e\u2066", "line\nbreak", "NaN", "null", "?",
	} {
		e := bare(fmt.Sprint("e", i, text), at(i))
		e.AlertID, e.Rule, e.Owner, e.Note = text, text, text, text
		e.Labels = map[string]string{text: text}
		f.put(e)
		assert.Equal(t, e, f.episode(e.ID))
		f.view(func(tx ledger.Tx) {
			found, err := tx.Episodes(ledger.Query{Rule: text, Owner: text})
			require.NoError(t, err)
			assert.Equal(t, []string{e.ID}, ids(found))
		})
	}
}
