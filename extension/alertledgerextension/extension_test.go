package alertledgerextension

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-escalation/otelcol-escalation/extension/alertledgerextension/internal/metadatatest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// statusHost remembers what components report of themselves.
type statusHost struct {
	component.Host
	mu       sync.Mutex
	reported []*componentstatus.Event
}

var _ componentstatus.Reporter = (*statusHost)(nil)

func (h *statusHost) Report(e *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reported = append(h.reported, e)
}

func (h *statusHost) statuses() (all []componentstatus.Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.reported {
		all = append(all, e.Status())
	}
	return all
}

type fixture struct {
	*ledgerExtension
	path string
	host *statusHost
	logs *observer.ObservedLogs
	tel  *componenttest.Telemetry
}

// newFixture returns an extension that has not been started.
func newFixture(t *testing.T, change func(*Config)) *fixture {
	f := &fixture{
		path: filepath.Join(t.TempDir(), "alerts.db"),
		host: &statusHost{Host: componenttest.NewNopHost()},
		tel:  componenttest.NewTelemetry(),
	}
	t.Cleanup(func() { require.NoError(t, f.tel.Shutdown(context.Background())) })
	cfg := createDefaultConfig().(*Config)
	cfg.DataSource = DataSource(f.path)
	if change != nil {
		change(cfg)
	}
	set := metadatatest.NewSettings(f.tel)
	core, logs := observer.New(zap.InfoLevel)
	set.Logger, f.logs = zap.New(core), logs
	ext, err := NewFactory().Create(context.Background(), set, cfg)
	require.NoError(t, err)
	f.ledgerExtension = ext.(*ledgerExtension)
	return f
}

func (f *fixture) put(t *testing.T, episodes ...*ledger.Episode) {
	t.Helper()
	require.NoError(t, f.Ledger().Update(context.Background(), time.Now(), func(tx ledger.Tx) error {
		for _, e := range episodes {
			if err := tx.PutEpisode(e); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestProvider(t *testing.T) {
	f := newFixture(t, nil)
	var provider ledger.Provider = f.ledgerExtension
	assert.Nil(t, provider.Ledger(), "before the start")
	require.NoError(t, f.Start(context.Background(), f.host))
	f.put(t, &ledger.Episode{ID: "e", AlertID: "a"})
	require.NoError(t, f.Shutdown(context.Background()))
	require.NoError(t, f.Shutdown(context.Background()), "twice")
	assert.Error(t, provider.Ledger().Healthy(context.Background()), "after the shutdown")
}

// Start's context ends when all components have started.
func TestStartContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		ctx, cancel := context.WithCancel(context.Background())
		require.NoError(t, f.Start(ctx, f.host))
		cancel()
		time.Sleep(time.Minute)
		require.NoError(t, os.Rename(f.path, f.path+".away"))
		time.Sleep(healthInterval)
		synctest.Wait()
		assert.NotEmpty(t, f.host.statuses(), "health is still looked after")
		require.NoError(t, f.Shutdown(context.Background()))
	})
}

func TestStartFails(t *testing.T) {
	f := newFixture(t, func(cfg *Config) {
		cfg.DataSource = DataSource(filepath.Join(string(cfg.DataSource), "no", "directory.db"))
	})
	assert.ErrorContains(t, f.Start(context.Background(), f.host), "the directory does not exist: make it")
	assert.Nil(t, f.Ledger())
	require.NoError(t, f.Shutdown(context.Background()))
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		require.NoError(t, f.Start(context.Background(), f.host))
		time.Sleep(3 * healthInterval)
		synctest.Wait()
		assert.Empty(t, f.host.statuses(), "nothing to report")

		require.NoError(t, os.Rename(f.path, f.path+".away"))
		time.Sleep(3 * healthInterval)
		synctest.Wait()
		require.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError}, f.host.statuses(), "once")
		assert.ErrorContains(t, f.host.reported[0].Err(), "has gone while in use")
		assert.Equal(t, 1, f.logs.FilterMessage("The alert ledger cannot be used").Len())

		require.NoError(t, os.Rename(f.path+".away", f.path))
		time.Sleep(3 * healthInterval)
		synctest.Wait()
		assert.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError, componentstatus.StatusOK}, f.host.statuses())
		assert.Equal(t, 1, f.logs.FilterMessage("The alert ledger can be used again").Len())
		require.NoError(t, f.Shutdown(context.Background()))
	})
}

func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(cfg *Config) { cfg.Retention = model.Duration(36 * time.Hour) })
		require.NoError(t, f.Start(context.Background(), f.host))
		ended := time.Now()
		f.put(t, &ledger.Episode{ID: "ended", AlertID: "a", EndedAt: ended}, &ledger.Episode{ID: "open", AlertID: "b"})
		left := func() (n int) {
			require.NoError(t, f.Ledger().View(context.Background(), time.Now(), func(tx ledger.Tx) error {
				all, err := tx.Episodes(ledger.Query{})
				n = len(all)
				return err
			}))
			return n
		}
		time.Sleep(36 * time.Hour)
		synctest.Wait()
		assert.Equal(t, 2, left())
		time.Sleep(retentionInterval)
		synctest.Wait()
		assert.Equal(t, 1, left(), "what is open stays")
		metadatatest.AssertEqualAlertLedgerRemovedEpisodes(t, f.tel, []metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp())
		require.NoError(t, f.Shutdown(context.Background()))
	})
}

func TestTelemetry(t *testing.T) {
	f := newFixture(t, nil)
	require.NoError(t, f.Start(context.Background(), f.host))
	for range 3 {
		f.put(t, &ledger.Episode{ID: "e", AlertID: "a"}, &ledger.Episode{ID: "f", AlertID: "b"})
	}
	f.put(t) // changes nothing
	success := attribute.NewSet(attribute.String("outcome", "success"))
	once := []metricdata.DataPoint[int64]{{Attributes: success, Value: 3}}
	metadatatest.AssertEqualAlertLedgerCommits(t, f.tel, once, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualAlertLedgerUpdates(t, f.tel, once, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualAlertLedgerOpenEpisodes(t, f.tel, []metricdata.DataPoint[int64]{{Value: 2}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualAlertLedgerCommitUpdates(t, f.tel, []metricdata.HistogramDataPoint[int64]{{Count: 3}},
		metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreValue())
	duration, err := f.tel.GetMetric("otelcol_alert_ledger_commit_duration")
	require.NoError(t, err)
	point := duration.Data.(metricdata.Histogram[float64]).DataPoints[0]
	assert.Equal(t, uint64(3), point.Count)
	assert.Positive(t, point.Sum)
	size, err := f.tel.GetMetric("otelcol_alert_ledger_size")
	require.NoError(t, err)
	assert.Greater(t, size.Data.(metricdata.Gauge[int64]).DataPoints[0].Value, int64(4096))
	require.NoError(t, f.Shutdown(context.Background()))
}
