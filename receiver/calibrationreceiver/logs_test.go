package calibrationreceiver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/plogtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadatatest"
)

// reader is a log backend that may refuse, with whatever error it is told.
type reader struct {
	mu    sync.Mutex
	err   error
	calls int
	took  []string // names of the events
	last  plog.Logs
}

func (r *reader) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (r *reader) ConsumeLogs(_ context.Context, ld plog.Logs) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.err != nil {
		return r.err
	}
	for _, record := range ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
		id, _ := record.Attributes().Get(alert.AttrEpisodeID)
		r.took = append(r.took, id.Str()+" "+record.EventName())
	}
	r.last = ld
	return nil
}

func (r *reader) refuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *reader) seen() (calls, events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls, len(r.took)
}

// following is a follower under test.
type following struct {
	*follower
	*reader
	statuses chan *componentstatus.Event
	own      *componenttest.Telemetry
}

func newFollowing(t testing.TB, l ledger.Ledger) *following {
	own := componenttest.NewTelemetry()
	obs, err := newObsreport(settings(own))
	require.NoError(t, err)
	e := &following{reader: &reader{}, statuses: make(chan *componentstatus.Event, 10), own: own}
	e.follower = &follower{
		ledger: l, next: e.reader, obs: obs, logger: zap.NewNop(), cursor: cursorName(component.MustNewID("calibration")),
		health: &health{logger: zap.NewNop(), report: func(s *componentstatus.Event) { e.statuses <- s }},
	}
	t.Cleanup(func() { require.NoError(t, own.Shutdown(context.Background())) })
	return e
}

// running runs the follower until the returned function is called.
func (e *following) running() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { e.run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

// Every kind of event, as a log record.
func TestLogs(t *testing.T) {
	l := ledgertest.New(t)
	now := ledgertest.Epoch
	step := func(fn func(tx ledger.Tx) error) {
		now = now.Add(time.Minute)
		update(t, l, now, fn)
	}
	a := alert.Alert{ID: "a", Severity: alert.High, Labels: map[string]string{"job": "vllm"}}
	id := fire(t, l, now, a)
	step(func(tx ledger.Tx) error { return ledger.Step(tx, id, 1, []string{"oncall", "lead"}, "first") })
	step(func(tx ledger.Tx) error { return ledger.Notify(tx, id, "oncall", ledger.DeliverPage, 1) })
	step(func(tx ledger.Tx) error {
		return tx.AppendEvent(&ledger.Event{Name: alert.EventPageFailed, EpisodeID: id, Severity: alert.High, Owner: "inference-platform", Rule: "KVCacheNearlyFull", Receiver: "lead", Reason: "refused", Note: "401 Unauthorized"})
	})
	step(func(tx ledger.Tx) error {
		a.Rule, a.Group, a.Severity, a.Owner, a.State, a.Time, a.Reason = "KVCacheNearlyFull", "vllm", alert.Critical, "head", alert.Firing, now, alert.ReasonThreshold
		_, _, err := ledger.Record(tx, &a)
		return err
	})
	step(func(tx ledger.Tx) error { return ledger.Lose(tx, id) })
	step(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, id, "anna", "on it") })
	step(func(tx ledger.Tx) error {
		return ledger.Snooze(tx, id, now.Add(time.Hour), "anna", "")
	})
	step(func(tx ledger.Tx) error { return ledger.Resolve(tx, id, "anna", "drained \xff") })
	step(func(tx ledger.Tx) error { return ledger.Judge(tx, id, ledger.TruePositive, "local/anna", "") })
	e := newFollowing(t, l)
	n, err := e.export(context.Background())
	require.NoError(t, err)
	require.Equal(t, 11, n)
	got := e.last
	for _, record := range got.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
		episode, _ := record.Attributes().Get(alert.AttrEpisodeID)
		assert.Equal(t, id, episode.Str())
		record.Attributes().PutStr(alert.AttrEpisodeID, "EPISODE")
		assert.NotZero(t, record.ObservedTimestamp())
		record.SetObservedTimestamp(0)
	}
	file := filepath.Join("testdata", "logs.yaml")
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, golden.WriteLogsToFile(file, got))
	}
	want, err := golden.ReadLogs(file)
	require.NoError(t, err)
	require.NoError(t, plogtest.CompareLogs(want, got))
	// plogtest does not look at names.
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var names, written []string
	for _, record := range got.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
		names = append(names, record.EventName())
	}
	for _, found := range regexp.MustCompile(`eventName: (\S+)`).FindAllStringSubmatch(string(text), -1) {
		written = append(written, found[1])
	}
	assert.Equal(t, written, names)
	assert.Equal(t, []string{
		"alert.fired", "alert.escalated", "alert.paged", "alert.page_failed", "alert.owner_changed", "alert.severity_changed",
		"alert.no_data", "alert.acknowledged", "alert.snoozed", "alert.resolved", "alert.verdict",
	}, names)
}

func TestLogSeverities(t *testing.T) {
	for _, c := range []struct {
		e    ledger.Event
		want plog.SeverityNumber
	}{
		{ledger.Event{Name: alert.EventFired, Severity: alert.Critical}, plog.SeverityNumberError2},
		{ledger.Event{Name: alert.EventFired, Severity: alert.High}, plog.SeverityNumberError},
		{ledger.Event{Name: alert.EventFired, Severity: alert.Medium}, plog.SeverityNumberWarn},
		{ledger.Event{Name: alert.EventFired, Severity: alert.Low}, plog.SeverityNumberInfo2},
		{ledger.Event{Name: alert.EventEscalated, Severity: alert.High}, plog.SeverityNumberError},
		{ledger.Event{Name: alert.EventAckExpired, Severity: alert.Medium}, plog.SeverityNumberWarn},
		{ledger.Event{Name: alert.EventSeverity, Severity: alert.Critical, From: "high"}, plog.SeverityNumberError2},
		{ledger.Event{Name: alert.EventSeverity, Severity: alert.High, From: "critical"}, plog.SeverityNumberInfo},
		{ledger.Event{Name: alert.EventNoData, Severity: alert.High, Reason: "no_data"}, plog.SeverityNumberError},
		{ledger.Event{Name: alert.EventNoData, Severity: alert.High, Reason: "threshold"}, plog.SeverityNumberInfo},
		{ledger.Event{Name: alert.EventPageFailed, Severity: alert.Low}, plog.SeverityNumberError},
		{ledger.Event{Name: alert.EventResolved, Severity: alert.Critical}, plog.SeverityNumberInfo},
		{ledger.Event{Name: alert.EventAcknowledged, Severity: alert.Critical}, plog.SeverityNumberInfo},
	} {
		assert.Equal(t, c.want, severityOf(&c.e), "%+v", c.e)
	}
}

// Events go out when they happen, all of them, in order, and not again after a restart.
func TestEventsFollowTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledgertest.New(t)
		var want []string
		happen := func(from, to int) {
			for i := from; i < to; i++ {
				want = append(want, fire(t, l, time.Now(), alert.Alert{ID: fmt.Sprint(i)})+" alert.fired")
			}
		}
		happen(0, batchSize+7)
		e := newFollowing(t, l)
		stop := e.running()
		synctest.Wait()
		assert.Equal(t, want, e.took)
		calls, _ := e.seen()
		assert.Equal(t, 2, calls)
		happen(1000, 1003)
		synctest.Wait() // without a moment passing
		assert.Equal(t, want, e.took)
		stop()
		happen(2000, 2002)

		again := newFollowing(t, l)
		defer again.running()()
		synctest.Wait()
		assert.Equal(t, want[len(want)-2:], again.took)
		assert.Empty(t, again.statuses)
	})
}

// A next consumer that refuses is asked again, less and less often; what it took then is what it would have taken.
func TestEventsWaitForTheConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledgertest.New(t)
		e := newFollowing(t, l)
		e.refuse(errors.New("the queue is full"))
		defer e.running()()
		id := fire(t, l, time.Now(), alert.Alert{ID: "a"})
		synctest.Wait()
		status := <-e.statuses
		assert.Equal(t, componentstatus.StatusRecoverableError, status.Status())
		assert.ErrorContains(t, status.Err(), "Exporting alert events: the queue is full")
		calls, _ := e.seen()
		assert.Equal(t, 1, calls)
		fire(t, l, time.Now(), alert.Alert{ID: "b"})
		synctest.Wait()
		calls, _ = e.seen()
		assert.Equal(t, 1, calls, "new events do not hurry it")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		calls, _ = e.seen()
		assert.Greater(t, calls, 10*60/45, "at least every 30 s, and half as long again")
		assert.Less(t, calls, 60)
		assert.Empty(t, e.statuses, "once per change")

		e.refuse(nil)
		time.Sleep(45 * time.Second)
		synctest.Wait()
		assert.Equal(t, componentstatus.StatusOK, (<-e.statuses).Status())
		require.Len(t, e.took, 2)
		assert.Equal(t, id+" alert.fired", e.took[0])
	})
}

// What is refused for good is passed over, counted, and does not stand in the way.
func TestEventsRefusedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledgertest.New(t)
		e := newFollowing(t, l)
		e.refuse(consumererror.NewPermanent(errors.New("not for me")))
		defer e.running()()
		fire(t, l, time.Now(), alert.Alert{ID: "a"})
		synctest.Wait()
		e.refuse(nil)
		id := fire(t, l, time.Now(), alert.Alert{ID: "b"})
		synctest.Wait()
		assert.Equal(t, []string{id + " alert.fired"}, e.took)
		metadatatest.AssertEqualReceiverCalibrationEvents(t, e.own, counts(map[outcome]int64{exported: 1, refused: 1}), ignoreTime)
		metadatatest.AssertEqualReceiverCalibrationEventBatches(t, e.own, counts(map[outcome]int64{exported: 1, refused: 1}), ignoreTime)
	})
}

// A ledger that cannot be written does not have events sent again; one that cannot be read delays them.
func TestEventsWhenTheLedgerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fragile{Ledger: ledgertest.New(t)}
		e := newFollowing(t, l)
		defer e.running()()
		synctest.Wait()
		fire(t, l, time.Now(), alert.Alert{ID: "a"})
		synctest.Wait()
		l.views.Store(true)
		fire(t, l, time.Now(), alert.Alert{ID: "b"})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		_, events := e.seen()
		assert.Equal(t, 1, events)
		assert.Equal(t, componentstatus.StatusRecoverableError, (<-e.statuses).Status())
		l.views.Store(false)
		time.Sleep(45 * time.Second)
		synctest.Wait()
		_, events = e.seen()
		assert.Equal(t, 2, events)
		assert.Equal(t, componentstatus.StatusOK, (<-e.statuses).Status())

		fire(t, l, time.Now(), alert.Alert{ID: "c"})
		synctest.Wait()
		calls, _ := e.seen()
		l.updates.Store(true) // no cursor can be stored
		fire(t, l.Ledger, time.Now(), alert.Alert{ID: "d"})
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		after, _ := e.seen()
		assert.Equal(t, calls+1, after, "taken once")
		l.updates.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Len(t, e.took, 4)
		seen := map[string]bool{}
		for _, name := range e.took {
			assert.False(t, seen[name], "twice")
			seen[name] = true
		}
	})
}

// Receivers with other names have cursors of their own.
func TestCursorNames(t *testing.T) {
	assert.Equal(t, "events/calibration", cursorName(component.MustNewID("calibration")))
	assert.Equal(t, "events/calibration/archive", cursorName(component.MustNewIDWithName("calibration", "archive")))
}

// A change of a threshold is about a rule, and about no episode.
func TestThresholdEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledgertest.New(t)
		e := newFollowing(t, l)
		stop := e.running()
		defer stop()
		require.NoError(t, l.Update(context.Background(), time.Now(), func(tx ledger.Tx) error {
			_, err := ledger.Retune(tx, &ledger.Change{RuleGroup: "g", Rule: "R", Tier: alert.High, Bound: "low", From: 0.9, To: 0.93, By: "local/anna", Note: "noise"})
			return err
		}))
		synctest.Wait()
		require.Equal(t, []string{" " + alert.EventThreshold}, e.took)
		record := e.last.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
		assert.Equal(t, "R: The low bound of high was moved from 0.9 to 0.93 by anna", record.Body().Str())
		assert.Equal(t, plog.SeverityNumberInfo, record.SeverityNumber())
		assert.Equal(t, map[string]any{
			alert.AttrRule: "R", alert.AttrSeverity: "high", alert.AttrThreshold: 0.93, alert.AttrFrom: "0.9", alert.AttrThresholdBound: "low",
			alert.AttrBy: "anna", alert.AttrNote: "noise",
		}, record.Attributes().AsRaw())
	})
}

// An event whose episode has been removed since is exported without what only the episode knows.
func TestEventWithoutEpisode(t *testing.T) {
	ld := logs([]happening{{Event: &ledger.Event{Name: alert.EventFired, EpisodeID: "gone", Rule: "R\xff", Owner: "o", Severity: alert.High}}}, time.Unix(1, 0))
	record := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	_, has := record.Attributes().Get(alert.AttrID)
	assert.False(t, has)
	assert.Equal(t, "R\uFFFD: Fired, high, for o", record.Body().Str())
	raw, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
	require.NoError(t, err)
	assert.NotContains(t, string(raw), "\xff")
	assert.True(t, strings.Contains(string(raw), "R\uFFFD"))
}

// However long a name or a note is, attributes and bodies of events are bounded, and valid text.
func TestTextsAreBounded(t *testing.T) {
	long := strings.Repeat("ä", 64<<10)
	e := &ledger.Event{
		Name: alert.EventSnoozed, EpisodeID: long, By: long, Severity: alert.High, Owner: long, Rule: "a" + long, Reason: "\xff" + long, Receiver: long, Note: "a" + long, From: long,
	}
	for _, name := range []string{alert.EventSnoozed, alert.EventVerdict, alert.EventThreshold, "alert.something"} {
		e.Name = name
		ld := logs([]happening{{e, long, long, long}}, time.Now())
		record := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
		assert.LessOrEqual(t, len(record.Body().Str()), longestNote)
		assert.True(t, utf8.ValidString(record.Body().Str()))
		total := 0
		for key, value := range record.Attributes().All() {
			longest := longestText
			if key == alert.AttrNote {
				longest = longestNote
			}
			assert.LessOrEqual(t, len(value.AsString()), longest, key)
			assert.True(t, utf8.ValidString(value.AsString()), key)
			total += len(value.AsString())
		}
		assert.Less(t, total, 64<<10)
	}
	for in, want := range map[string]string{"": "", "a": "a", strings.Repeat("a", longestText): strings.Repeat("a", longestText), "\xff": "\uFFFD", strings.Repeat("a\xff", longestText/2): strings.ToValidUTF8(strings.Repeat("a\uFFFD", longestText)[:longestText-3], "") + "…"} {
		assert.Equal(t, want, text(in))
	}
}
