package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func observations(t *testing.T, f *fixture) {
	e := bare("e", at(0))
	e.Threshold, e.Value, e.Peak = ptr(0.9), ptr(0.95), ptr(0.95)
	f.put(e)
	f.Observe(map[string]ledger.Observation{
		"e":      {Value: ptr(0.99), ObservedAt: at(1), JudgedAt: at(1), SeenAt: at(2)},
		"nobody": {Value: ptr(1.0), JudgedAt: at(1)},
	})
	f.Observe(map[string]ledger.Observation{"e": {Value: ptr(0.93), FiringLevel: ptr(0.97), ObservedAt: at(3), JudgedAt: at(3), SeenAt: at(4)}})
	f.Observe(map[string]ledger.Observation{"e": {Value: ptr(0.5), JudgedAt: at(2), SeenAt: at(5)}}) // late
	f.Observe(map[string]ledger.Observation{"e": {JudgedAt: at(4), SeenAt: at(5)}})                  // no data
	want := *e
	want.Value, want.Peak, want.FiringLevel = ptr(0.93), ptr(0.99), ptr(0.97)
	want.ObservedAt, want.JudgedAt, want.SeenAt = at(3), at(4), at(5)
	want.Trace = append(want.Trace, ledger.TracePoint{At: at(1), Value: 0.99}, ledger.TracePoint{At: at(3), Value: 0.93})
	assert.Equal(t, &want, f.episode("e"))

	// Every way to read shows it.
	f.view(func(tx ledger.Tx) {
		last, err := tx.LastEpisode(e.AlertID)
		require.NoError(t, err)
		assert.Equal(t, &want, last)
		all, err := tx.Episodes(ledger.Query{})
		require.NoError(t, err)
		assert.Equal(t, []*ledger.Episode{&want}, all)
	})

	// It is written with the next Put, and then there is nothing left to show.
	f.update(func(tx ledger.Tx) error {
		read, err := tx.Episode("e")
		if err != nil {
			return err
		}
		read.Note = "written"
		return tx.PutEpisode(read)
	})
	want.Note = "written"
	f.reopen()
	assert.Equal(t, &want, f.episode("e"))

	// Known to be open after reopening, and forgotten at the end.
	f.Observe(map[string]ledger.Observation{"e": {Value: ptr(0.94), ObservedAt: at(6), JudgedAt: at(6)}})
	assert.Equal(t, 0.94, *f.episode("e").Value)
	want.EndedAt = at(7)
	f.put(&want)
	f.Observe(map[string]ledger.Observation{"e": {Value: ptr(0.2), JudgedAt: at(8)}})
	assert.Equal(t, &want, f.episode("e"), "an ended episode is not observed")
}

var errWanted = errors.New("wanted")

func failingUpdate(t *testing.T, f *fixture) {
	e := bare("e", at(0))
	changed := f.Changed()
	err := f.Update(context.Background(), f.now, func(tx ledger.Tx) error {
		require.NoError(t, tx.PutEpisode(e))
		require.NoError(t, tx.AppendEvent(&ledger.Event{EpisodeID: "e"}))
		require.NoError(t, tx.Count(ledger.CounterKey{Metric: "m"}, 1))
		_, err := tx.Episode("e")
		require.NoError(t, err, "a transaction sees what it wrote")
		return errWanted
	})
	assert.ErrorIs(t, err, errWanted)
	nothing(t, f)
	isOpen(t, changed)
}

func nothing(t *testing.T, f *fixture) {
	t.Helper()
	f.view(func(tx ledger.Tx) {
		_, err := tx.Episode("e")
		assert.ErrorIs(t, err, ledger.ErrNotFound)
		events, err := tx.EventsAfter(0, 10)
		require.NoError(t, err)
		assert.Empty(t, events)
		counters, err := tx.Counters()
		require.NoError(t, err)
		assert.Empty(t, counters)
	})
}

func isOpen(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
		t.Error("a change was announced where there was none")
	default:
	}
}

func panickingUpdate(t *testing.T, f *fixture) {
	err := f.Update(context.Background(), f.now, func(tx ledger.Tx) error {
		require.NoError(t, tx.PutEpisode(bare("e", at(0))))
		panic("wanted")
	})
	assert.ErrorContains(t, err, "wanted")
	assert.ErrorContains(t, err, "panickingUpdate", "the stack says where")
	nothing(t, f)
	f.put(bare("e", at(0)))

	assert.ErrorContains(t, f.View(context.Background(), f.now, func(ledger.Tx) error { panic("wanted") }), "wanted")
}

// A test that fails within an update ends its goroutine there.
func endingGoroutine(t *testing.T, f *fixture) {
	var ended sync.WaitGroup
	ended.Go(func() {
		_ = f.Update(context.Background(), f.now, func(tx ledger.Tx) error {
			require.NoError(t, tx.PutEpisode(bare("e", at(0))))
			runtime.Goexit()
			return nil
		})
	})
	ended.Wait()
	nothing(t, f)
	f.put(bare("e", at(0)))
}

func ignoredError(t *testing.T, f *fixture) {
	err := f.Update(context.Background(), f.now, func(tx ledger.Tx) error {
		require.NoError(t, tx.PutEpisode(bare("e", at(0))))
		_ = tx.AppendEvent(&ledger.Event{EpisodeID: "nobody"})
		return nil
	})
	assert.ErrorIs(t, err, ledger.ErrNotFound)
	nothing(t, f)
}

func viewCannotWrite(t *testing.T, f *fixture) {
	err := f.View(context.Background(), f.now, func(tx ledger.Tx) error {
		_ = tx.PutEpisode(bare("e", at(0)))
		return nil
	})
	assert.ErrorContains(t, err, "read-only")
	nothing(t, f)
}

func txIsOver(t *testing.T, f *fixture) {
	var kept ledger.Tx
	f.update(func(tx ledger.Tx) error {
		kept = tx
		return nil
	})
	assert.ErrorContains(t, kept.PutEpisode(bare("e", at(0))), "over")
	f.view(func(tx ledger.Tx) { kept = tx })
	_, err := kept.Episode("e")
	assert.ErrorContains(t, err, "over")
	nothing(t, f)
}

func viewSeesOneState(t *testing.T, f *fixture) {
	f.put(bare("e", at(0)))
	f.view(func(tx ledger.Tx) {
		before, err := tx.Episodes(ledger.Query{})
		require.NoError(t, err)
		f.put(bare("f", at(1))) // a writer does not wait for readers
		after, err := tx.Episodes(ledger.Query{})
		require.NoError(t, err)
		assert.Equal(t, ids(before), ids(after))
	})
	f.view(func(tx ledger.Tx) {
		all, err := tx.Episodes(ledger.Query{})
		require.NoError(t, err)
		assert.Len(t, all, 2)
	})
}

func changed(t *testing.T, f *fixture) {
	before := f.Changed()
	f.update(func(tx ledger.Tx) error {
		_, err := tx.Counters()
		return err
	})
	f.Observe(map[string]ledger.Observation{"e": {}})
	require.NoError(t, f.Healthy(context.Background()))
	isOpen(t, before)
	f.put(bare("e", at(0)))
	select {
	case <-before:
	default:
		t.Error("a change was not announced")
	}
	isOpen(t, f.Changed())
}

func contexts(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(context.Background())
	err := f.Update(ctx, f.now, func(tx ledger.Tx) error {
		require.NoError(t, tx.PutEpisode(bare("e", at(0))))
		cancel()
		_ = tx.Count(ledger.CounterKey{Metric: "m"}, 1)
		return nil
	})
	assert.ErrorIs(t, err, context.Canceled, "within the function")
	ran := false
	err = f.Update(ctx, f.now, func(ledger.Tx) error {
		ran = true
		return nil
	})
	assert.ErrorIs(t, err, context.Canceled, "before it")
	assert.ErrorIs(t, f.View(ctx, f.now, func(ledger.Tx) error { return nil }), context.Canceled)
	assert.False(t, ran)
	nothing(t, f)

	// Who waits behind a slow update may leave, and its function does not run any more.
	hold, held := make(chan struct{}), make(chan struct{})
	var slow sync.WaitGroup
	slow.Go(func() {
		assert.NoError(t, f.Update(context.Background(), f.now, func(ledger.Tx) error {
			close(held)
			<-hold
			return nil
		}))
	})
	<-held
	ctx, cancel = context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	err = f.Update(ctx, f.now, func(ledger.Tx) error {
		t.Error("ran after its caller had left")
		return nil
	})
	assert.ErrorIs(t, err, context.Canceled)
	close(hold)
	slow.Wait()
	f.put(bare("e", at(0)))
}

// Many callers at once, a third of which fail: the others' work is all there, each in its own clock, and theirs not.
func concurrentUpdates(t *testing.T, f *fixture) {
	const callers, each = 16, 20
	key := ledger.CounterKey{Metric: "sum"}
	var work sync.WaitGroup
	for c := range callers {
		work.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", c, i)
				now := at(c*each + i)
				err := f.Update(context.Background(), now, func(tx ledger.Tx) error {
					e := bare(id, tx.Now())
					if err := errors.Join(tx.PutEpisode(e), tx.AppendEvent(&ledger.Event{EpisodeID: id}), tx.Count(key, 1)); err != nil {
						return err
					}
					switch i % 3 {
					case 1:
						return errWanted
					case 2:
						e.AlertID = "contended" // only one caller can have it
						return tx.PutEpisode(e)
					}
					return nil
				})
				switch i % 3 {
				case 0:
					assert.NoError(t, err)
				case 1:
					assert.ErrorIs(t, err, errWanted)
				}
				f.view(func(tx ledger.Tx) {
					e, found := tx.Episode(id)
					if assert.Equal(t, err == nil, found == nil, "%s: %v", id, err) && found == nil {
						assert.Equal(t, now, e.OpenedAt)
					}
				})
			}
		})
	}
	work.Wait()
	f.reopen()
	f.view(func(tx ledger.Tx) {
		const plain = callers * 7 // i = 0, 3, … 18
		all, err := tx.Episodes(ledger.Query{Limit: 10000})
		require.NoError(t, err)
		assert.Len(t, all, plain+1)
		counters, err := tx.Counters()
		require.NoError(t, err)
		assert.Equal(t, []ledger.Counter{{CounterKey: key, N: plain + 1}}, counters)
		events, err := tx.EventsAfter(0, 10000)
		require.NoError(t, err)
		assert.Len(t, events, plain+1)
		e, err := tx.LastEpisode("contended")
		require.NoError(t, err)
		assert.Equal(t, alert.High, e.Severity)
	})
}

func closed(t *testing.T, f *fixture) {
	l := f.Ledger
	f.reopen()
	assert.Error(t, l.Update(context.Background(), f.now, func(ledger.Tx) error { return nil }))
	assert.Error(t, l.View(context.Background(), f.now, func(ledger.Tx) error { return nil }))
	assert.Error(t, l.Healthy(context.Background()))
	l.Observe(map[string]ledger.Observation{"e": {}})
	assert.NoError(t, f.Healthy(context.Background()))
}
