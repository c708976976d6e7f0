package e2e

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

// library is a Prometheus of the parts that the server is made of: its OTLP endpoint, its database, its engine. The one that
// distributions have is too old for OTLP.
type library struct {
	*httptest.Server
	db     *tsdb.DB
	engine *promql.Engine
}

func newLibrary(t testing.TB) *library {
	db, err := tsdb.Open(t.TempDir(), promslog.NewNopLogger(), nil, tsdb.DefaultOptions(), tsdb.NewDBStats())
	require.NoError(t, err)
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: promslog.NewNopLogger(), MaxSamples: 50_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{}),
	})
	settings := func() config.Config { return config.Config{OTLPConfig: config.DefaultOTLPConfig} }
	mux := http.NewServeMux()
	mux.Handle("/api/v1/otlp/v1/metrics", remote.NewOTLPWriteHandler(promslog.NewNopLogger(), prometheus.NewRegistry(), db, settings,
		remote.OTLPOptions{LookbackDelta: 5 * time.Minute}))
	mux.HandleFunc("/api/v1/otlp/v1/logs", func(http.ResponseWriter, *http.Request) {}) // it has none; the collector sends both to one place
	l := &library{httptest.NewServer(mux), db, engine}
	t.Cleanup(func() {
		l.Close()
		require.NoError(t, errors.Join(engine.Close(), db.Close()))
	})
	return l
}

// ask runs a query now, or over time, and counts the series with a number among their values.
func (l *library) ask(expr string, instant bool, from, to time.Time, step time.Duration) (int, error) {
	var q promql.Query
	var err error
	if ctx := context.Background(); instant {
		q, err = l.engine.NewInstantQuery(ctx, l.db, nil, expr, to)
	} else {
		q, err = l.engine.NewRangeQuery(ctx, l.db, nil, expr, from, to, step)
	}
	if err != nil {
		return 0, err
	}
	defer q.Close()
	result := q.Exec(context.Background())
	if result.Err != nil {
		return 0, result.Err
	}
	n := 0
	switch v := result.Value.(type) {
	case promql.Vector:
		for _, s := range v {
			if s.H != nil || !math.IsNaN(s.F) {
				n++
			}
		}
	case promql.Matrix:
		for _, s := range v {
			numbers := len(s.Histograms)
			for _, p := range s.Floats {
				if !math.IsNaN(p.F) {
					numbers++
				}
			}
			if numbers > 0 {
				n++
			}
		}
	}
	return n, nil
}
