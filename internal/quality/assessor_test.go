package quality

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// record is a ledger with a clock, and an assessor that looks at it.
type record struct {
	ledger.Ledger
	*Assessor
	t   *testing.T
	now time.Time
	// samples counts how often a rule's episodes were read.
	samples int
}

func newRecord(t *testing.T) *record {
	return &record{
		Ledger: ledgertest.New(t), Assessor: &Assessor{Window: 30 * 24 * time.Hour, Limits: calibrate.DefaultLimits()},
		t: t, now: ledgertest.Epoch.Add(100 * time.Hour),
	}
}

func (r *record) do(fn func(ledger.Tx) error) {
	r.t.Helper()
	require.NoError(r.t, r.Update(context.Background(), r.now, fn))
}

// counting is a transaction that counts readings.
type counting struct {
	ledger.Tx
	of *record
}

func (c counting) Samples(rule string, since time.Time) ([]*ledger.Sample, error) {
	c.of.samples++
	return c.Tx.Samples(rule, since)
}

func (r *record) View(ctx context.Context, now time.Time, fn func(ledger.Tx) error) error {
	return r.Ledger.View(ctx, now, func(tx ledger.Tx) error { return fn(counting{tx, r}) })
}

// fires adds an alert that somebody was paged for.
func (r *record) fires(rule string, n int) (id string) {
	level, threshold := 0.95, 0.9
	r.do(func(tx ledger.Tx) error {
		for range n {
			id = fmt.Sprintf("%s-%d-%d", rule, r.now.Unix(), n)
			n--
			e := &ledger.Episode{
				ID: id, AlertID: id, Rule: rule, Owner: "o", Severity: alert.High, Highest: alert.High, OpenedAt: r.now, NotifiedAt: r.now, EndedAt: r.now,
				Levels: ledger.Levels{alert.High: {Threshold: &threshold, Firing: &level}},
			}
			if err := tx.PutEpisode(e); err != nil {
				return err
			}
		}
		return tx.AppendEvent(&ledger.Event{Name: alert.EventFired, EpisodeID: id, Rule: rule, Severity: alert.High})
	})
	return id
}

func (r *record) judge(id string) {
	r.do(func(tx ledger.Tx) error { return ledger.Judge(tx, id, ledger.FalsePositive, "anna", "") })
}

func (r *record) look(rule string) (got *Rule) {
	r.t.Helper()
	require.NoError(r.t, r.View(context.Background(), r.now, func(tx ledger.Tx) (err error) {
		got, err = r.Look(tx, rule)
		return err
	}))
	return got
}

func (r *record) all() (got []*Rule) {
	r.t.Helper()
	require.NoError(r.t, r.View(context.Background(), r.now, func(tx ledger.Tx) (err error) {
		got, err = r.Rules(tx)
		return err
	}))
	return got
}

// before is how many episodes the first threshold of the first rule rests on.
func (r *record) before() int {
	r.t.Helper()
	all := r.all()
	if len(all) == 0 {
		return 0
	}
	require.NotEmpty(r.t, all[0].Thresholds)
	assert.Nil(r.t, all[0].Thresholds[0].Alarms)
	return all[0].Thresholds[0].Before.Episodes
}

// Conclusions are kept, hold for a while although alerts come, are drawn anew at a verdict, and after an hour.
func TestConclusionsAreDrawnAnew(t *testing.T) {
	r := newRecord(t)
	assert.Empty(t, r.all())
	assert.Zero(t, r.look("Full").Episodes)
	assert.Empty(t, r.rules, "what nobody knows is not kept")
	id := r.fires("Full", 1)
	assert.Equal(t, 1, r.before())
	r.now = r.now.Add(time.Second)
	r.fires("Full", 1)
	assert.Equal(t, 1, r.before(), "it settles first")
	assert.EqualValues(t, 2, r.all()[0].Episodes, "what is counted is counted now")
	assert.EqualValues(t, 2, r.look("Full").Thresholds[0].Before.Episodes, "who looks at a small rule sees it as it is")
	assert.Equal(t, 2, r.before(), "and what was seen is kept")
	r.fires("Other", 1)
	read := r.samples
	r.look("Full")
	assert.Equal(t, read, r.samples, "nothing has happened to this one")
	r.now = r.now.Add(time.Second)
	r.fires("Full", 1)
	r.now = r.now.Add(settles)
	assert.Equal(t, 3, r.before())
	r.judge(id)
	assert.Equal(t, 1, r.all()[0].Thresholds[0].Before.False, "a verdict counts at once")
	r.do(func(tx ledger.Tx) error {
		_, err := ledger.Report(tx, &ledger.Miss{Rule: "Full", At: r.now.Add(-time.Hour), By: "anna"})
		return err
	})
	assert.Empty(t, r.look("Full").Misses)
	r.Forget("Full")
	assert.Len(t, r.look("Full").Misses, 1)

	seen := r.look("Full")
	require.Len(t, seen.Days, 30)
	assert.Equal(t, Day{At: r.now.Truncate(24 * time.Hour), Unjudged: 2, False: 1}, seen.Days[29])
	require.NotEmpty(t, seen.Thresholds[0].Curve)
	assert.Equal(t, 3, seen.Thresholds[0].Curve[0].Episodes)

	r.now = r.now.Add(31 * 24 * time.Hour)
	assert.Empty(t, r.all(), "the window has moved")
	assert.Empty(t, r.rules)
}

// A rule of many episodes is not read while somebody waits, once something is known about it.
func TestLargeRulesAreConcludedBeside(t *testing.T) {
	r := newRecord(t)
	id := r.fires("Large", atOnce+1)
	r.fires("Small", 1)
	all := r.all()
	require.Len(t, all, 2)
	assert.EqualValues(t, atOnce+1, all[0].Episodes)
	assert.True(t, all[0].At.IsZero())
	assert.Nil(t, all[0].Thresholds, "that would take too long")
	assert.NotNil(t, all[1].Thresholds)
	renew := func() { require.NoError(t, r.Renew(context.Background(), r, r.now)) }
	renew()
	assert.Equal(t, atOnce+1, r.before())
	read := r.samples
	renew()
	assert.Equal(t, read, r.samples, "nothing has happened")
	r.now = r.now.Add(time.Second)
	r.judge(id)
	assert.Zero(t, r.look("Large").Verdicts[ledger.FalsePositive])
	assert.EqualValues(t, 1, r.all()[0].Verdicts[ledger.FalsePositive], "counting takes no time")
	renew()
	assert.Zero(t, r.look("Large").Verdicts[ledger.FalsePositive], "not again and again")
	r.now = r.now.Add((atOnce + 1) * rest)
	renew()
	assert.EqualValues(t, 1, r.look("Large").Verdicts[ledger.FalsePositive])
	r.now = r.now.Add(holds)
	read = r.samples
	r.look("Large")
	assert.Greater(t, r.samples, read, "an hour old: whoever waits, waits")
}

// What happens while a conclusion is drawn is not lost: the reader that saw an older state cannot know of it.
func TestNothingIsMissedMeanwhile(t *testing.T) {
	r := newRecord(t)
	id := r.fires("Full", 1)
	r.fires("Other", 1)
	r.look("Other")
	require.NoError(t, r.View(context.Background(), r.now, func(tx ledger.Tx) error {
		_, err := tx.LastEvent() // from here on it sees one state
		require.NoError(t, err)
		r.judge(id)
		r.look("Other") // in the newer state
		old, err := r.Look(tx, "Full")
		require.NoError(t, err)
		assert.Zero(t, old.Verdicts[ledger.FalsePositive])
		return nil
	}))
	assert.EqualValues(t, 1, r.look("Full").Verdicts[ledger.FalsePositive])
}

// names is a ledger of many rules in memory: one episode each, and two of the first few.
type names struct {
	ledger.Ledger
	n   int
	now time.Time
}

func (l names) View(_ context.Context, _ time.Time, fn func(ledger.Tx) error) error {
	return fn(namesTx{of: l})
}

type namesTx struct {
	ledger.Tx
	of names
}

func (tx namesTx) Now() time.Time                                           { return tx.of.now }
func (namesTx) LastEvent() (int64, error)                                   { return 0, nil }
func (namesTx) Misses(string, time.Time) ([]*ledger.Miss, error)            { return nil, nil }
func (namesTx) Changes(string, time.Time) ([]*ledger.Change, error)         { return nil, nil }
func (namesTx) Explored(string, time.Time, int) ([]*ledger.Explored, error) { return nil, nil }

func (tx namesTx) Samples(rule string, _ time.Time) ([]*ledger.Sample, error) {
	return []*ledger.Sample{{ID: rule, Rule: rule, OpenedAt: tx.of.now, EndedAt: tx.of.now}}, nil
}

func (tx namesTx) Tallies(time.Time) (all []ledger.Tally, _ error) {
	for i := range tx.of.n {
		t := ledger.Tally{Rule: fmt.Sprintf("r%06d", i), Episodes: 1}
		if i >= tx.of.n-10 {
			t.Episodes = 2
		}
		all = append(all, t)
	}
	return all, nil
}

// Names of rules come over the network: conclusions are kept about so many of them, those that fire most, and about any other when
// it is asked for.
func TestConclusionsAreBounded(t *testing.T) {
	l := names{n: mostKept + 500, now: ledgertest.Epoch}
	a := &Assessor{Window: time.Hour, Limits: calibrate.DefaultLimits()}
	require.NoError(t, a.Renew(t.Context(), l, l.now))
	assert.Len(t, a.rules, mostKept)
	assert.Contains(t, a.rules, fmt.Sprintf("r%06d", l.n-1), "it fires most")
	require.NoError(t, l.View(t.Context(), l.now, func(tx ledger.Tx) error {
		rules, err := a.Rules(tx)
		require.NoError(t, err)
		assert.Len(t, rules, l.n, "all of them are counted")
		other := fmt.Sprintf("r%06d", l.n-11)
		assert.NotContains(t, a.rules, other)
		r, err := a.Look(tx, other)
		require.NoError(t, err)
		assert.EqualValues(t, 1, r.Episodes)
		assert.Len(t, a.rules, mostKept)
		return nil
	}))
	l.n = 5
	l.now = l.now.Add(holds)
	require.NoError(t, a.Renew(t.Context(), l, l.now))
	assert.Len(t, a.rules, 5)
}
