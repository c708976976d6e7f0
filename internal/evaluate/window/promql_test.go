package window

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

// TestPromQL runs Prometheus' own suite for PromQL on a window. None of its cases is left out.
func TestPromQL(t *testing.T) {
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery)
	promqltest.RunBuiltinTestsWithStorage(t, engine, func(testing.TB) storage.Storage {
		w := New(Options{Lookback: 5 * time.Minute, StartTimestamps: true})
		w.Keep(nil, true)
		return whole{w}
	})
}

// TestPromQLSelected runs it with what the suite selects as selectors, so that the lists are read.
func TestPromQLSelected(t *testing.T) {
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery)
	promqltest.RunBuiltinTestsWithStorage(t, engine, func(testing.TB) storage.Storage {
		w := New(Options{Lookback: 5 * time.Minute, StartTimestamps: true})
		w.Keep(nil, true)
		return &selecting{whole: whole{w}}
	})
}

// whole is a window as the storage that Prometheus' tests want. Of what they want and it has not, they use nothing.
type whole struct{ *Window }

var errUnused = errors.New("a window has none")

func (whole) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) { return nil, errUnused }
func (whole) Appender(context.Context) storage.Appender               { panic(errUnused) }
func (whole) StartTime() (int64, error)                               { return 0, nil }
func (whole) Close() error                                            { return nil }

// selecting makes a selector of whatever is asked for, before it is.
type selecting struct {
	whole
	asked []Selector
}

func (s *selecting) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := s.whole.Querier(mint, maxt)
	return asking{q, s}, err
}

type asking struct {
	storage.Querier
	s *selecting
}

func (a asking) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	if _, known := a.s.selection.Load().byKey[matchersKey(matchers)]; !known {
		a.s.asked = append(a.s.asked, Selector{Matchers: matchers})
		a.s.Keep(a.s.asked, true)
	}
	return a.Querier.Select(ctx, sorted, hints, matchers...)
}
