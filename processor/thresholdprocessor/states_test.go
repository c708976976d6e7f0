package thresholdprocessor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelcol-escalation/otelcol-escalation/processor/thresholdprocessor/internal/metadatatest"
)

func storedConfig() *Config {
	cfg := kvConfig()
	cfg.Storage = &memoryID
	return cfg
}

// kill ends the processor as kill -9 would: its goroutines stop, and nothing more is said or stored.
func (t *threshold) kill() {
	t.stop()
	t.done.Wait()
}

func TestKillLosesNothingThatFires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, out := newMemory(), &sink{}
		p := run(t, storedConfig(), out, kept)
		require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.95, 0.5)))
		before := out.states(t)
		require.Len(t, before, 1)
		p.kill()
		out.clear()

		time.Sleep(10 * time.Minute)
		p = run(t, storedConfig(), out, kept)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		after := out.states(t)
		require.Len(t, after, 1, "it is said again at once")
		assert.True(t, after[0].Time.After(before[0].Time))
		after[0].Time = before[0].Time
		assert.True(t, after[0].FiringLevelBound, "what came before the kill and was not stored may have been worse")
		after[0].FiringLevelBound, after[0].FiringLevels = false, before[0].FiringLevels
		assert.Equal(t, before, after)

		// Healthy series are not announced: what fired is known.
		for range 3 {
			require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.95, 0.5)))
			time.Sleep(15 * time.Second)
		}
		assert.Equal(t, []string{"firing high threshold"}, out.story(t))
		require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.5, 0.5)))
		assert.Equal(t, []string{"firing high threshold", "inactive high recovered"}, out.story(t))
		require.NoError(t, p.Shutdown(context.Background()))
	})
}

// What fires is in the storage before anybody hears of it, and before its batch goes on.
func TestStoredBeforeItIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, out := newMemory().known(time.Now()), &sink{}
		p := run(t, storedConfig(), out, kept)
		calls := 0
		out.refuseWith(func(pmetric.Metrics) error {
			calls++
			assert.True(t, kept.holds("v1/firing/"), "call %d", calls)
			return nil
		})
		require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.95)))
		assert.Equal(t, 2, calls, "the state, and the batch")
		require.NoError(t, p.Shutdown(context.Background()))
	})
}

// The kill may come after the end was stored and before it was accepted: the next run says it.
func TestKillLosesNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, out := newMemory(), &sink{}
		p := run(t, storedConfig(), out, kept)
		require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.95)))
		time.Sleep(15 * time.Second)
		out.refuseWith(func(md pmetric.Metrics) error { return errors.New("down") })
		require.Error(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.5)))
		p.kill()
		out.refuseWith(nil)
		require.Equal(t, []string{"firing high threshold"}, out.story(t))

		p = run(t, storedConfig(), out, kept)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"firing high threshold", "inactive high recovered"}, out.story(t))
		require.NoError(t, p.Shutdown(context.Background()))
	})
}

// Shutdown stores all of it: the time that a pending alert has behind it, too. The time in between does not count.
func TestShutdownStoresEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, out := newMemory(), &sink{}
		cfg := storedConfig()
		cfg.Groups[0].(map[string]any)["rules"].([]any)[0].(map[string]any)["tiers"] = map[string]any{
			"high": map[string]any{"above": 0.9, "for": "1m"},
		}
		p := run(t, cfg, out, kept)
		feed := func() {
			require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.95)))
			time.Sleep(15 * time.Second)
		}
		feed() // 0s
		feed() // 15s
		feed() // 30s
		require.NoError(t, p.Shutdown(context.Background()))

		time.Sleep(10 * time.Minute)
		p = run(t, cfg, out, kept)
		feed() // 45s: the downtime does not count
		assert.Equal(t, []string{"pending high threshold"}, out.story(t))
		feed()
		assert.Equal(t, []string{"pending high threshold", "firing high threshold"}, out.story(t))
		require.NoError(t, p.Shutdown(context.Background()))
	})
}

// With the storage that people use. A kill leaves its lock to a dead process; here the extension is closed instead, and
// without fsync what was written is there for whoever opens the file next.
func TestFileStorage(t *testing.T) {
	dir := t.TempDir()
	open := func() *fileHost {
		factory := filestorage.NewFactory()
		cfg := factory.CreateDefaultConfig().(*filestorage.Config)
		cfg.Directory = dir
		require.NoError(t, cfg.Validate())
		ext, err := factory.Create(context.Background(), extensiontest.NewNopSettings(factory.Type()), cfg)
		require.NoError(t, err)
		require.NoError(t, ext.Start(context.Background(), componenttest.NewNopHost()))
		return &fileHost{ext}
	}
	out := &sink{}
	host := open()
	p := run(t, storedConfig(), out, host)
	require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.95)))
	p.kill()
	require.NoError(t, p.states.client.Close(context.Background()))
	require.NoError(t, host.Shutdown(context.Background()))
	assert.Equal(t, []string{"firing high threshold"}, out.story(t))
	out.clear()

	host = open()
	defer func() { require.NoError(t, host.Shutdown(context.Background())) }()
	p = run(t, storedConfig(), out, host)
	require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.5)))
	require.NoError(t, p.Shutdown(context.Background()))
	assert.Equal(t, []string{"inactive high recovered"}, out.story(t), "what fired before is known, and ends")
}

type fileHost struct{ extension.Extension }

func (h *fileHost) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{memoryID: h.Extension}
}

func TestFailingStorageFailsNoBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel := componenttest.NewTelemetry()
		kept, out := newMemory().known(time.Now()), &sink{}
		p := runWith(t, tel, storedConfig(), out, kept)
		kept.set(errors.New("no space left on device"), nil)
		start := time.Now()
		require.NoError(t, p.ConsumeMetrics(context.Background(), kv(start, 0.95)))
		assert.LessOrEqual(t, time.Since(start), time.Second)
		assert.Equal(t, []string{"firing high threshold"}, out.story(t), "the alert is said all the same")
		failures, err := tel.GetMetric("otelcol_processor_threshold_storage_failures")
		require.NoError(t, err)
		require.NotNil(t, failures.Data)

		// When it works again, what fires is stored without a further change.
		kept.set(nil, nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		p.kill()
		out.clear()
		p = run(t, storedConfig(), out, kept)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"firing high threshold"}, out.story(t))
		require.NoError(t, p.Shutdown(context.Background()))
		require.NoError(t, tel.Shutdown(context.Background()))
	})
}

// A storage that never answers costs a batch at most a second, and Shutdown a few.
func TestHangingStorageHoldsNoBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel := componenttest.NewTelemetry()
		kept, out := newMemory().known(time.Now()), &sink{}
		p := runWith(t, tel, storedConfig(), out, kept)
		stuck := make(chan struct{})
		kept.set(nil, stuck)
		for i := range 20 {
			start := time.Now()
			assert.NoError(t, p.ConsumeMetrics(context.Background(), kvOf(i, 0.95)))
			want := time.Duration(0) // who knows that the storage hangs does not wait
			if i == 0 {
				want = saveTimeout
			}
			assert.Equal(t, want, time.Since(start), "batch %d", i)
		}
		assert.Len(t, out.states(t), 20, "every alert is said all the same")
		metadatatest.AssertEqualProcessorThresholdStorageFailures(t, tel, []metricdata.DataPoint[int64]{{Value: 1}}, ignoringTime)

		start := time.Now()
		require.ErrorContains(t, p.Shutdown(context.Background()), "does not")
		assert.LessOrEqual(t, time.Since(start), 2*closeTimeout)
		close(stuck)
		synctest.Wait()
		require.NoError(t, tel.Shutdown(context.Background()))
	})
}

// Many at once wait no longer than one. On the real clock: who waits for a mutex holds up a bubble's.
func TestHangingStorageHoldsNoBatches(t *testing.T) {
	kept, out := newMemory().known(time.Now()), &sink{}
	p := run(t, storedConfig(), out, kept)
	stuck := make(chan struct{})
	kept.set(nil, stuck)
	together(t, 50, p, 2*saveTimeout)
	close(stuck)
	require.NoError(t, p.Shutdown(context.Background()))
	assert.Len(t, out.states(t), 50)
}

// Batches that come while a write is under way share the next one.
func TestSlowStorageIsShared(t *testing.T) {
	out := &sink{}
	kept := &slow{memory: newMemory().known(time.Now()), takes: 50 * time.Millisecond}
	p := run(t, storedConfig(), out, kept)
	together(t, 100, p, saveTimeout)
	require.NoError(t, p.Shutdown(context.Background()))
	assert.Len(t, out.states(t), 100)
}

// A storage that answers too late every time is one that fails: only the first batch waits for it.
func TestLateStorageHoldsOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		kept := &slow{memory: newMemory().known(time.Now())}
		p := run(t, storedConfig(), out, kept)
		kept.takes = saveTimeout + 500*time.Millisecond
		for i := range 5 {
			start := time.Now()
			require.NoError(t, p.ConsumeMetrics(context.Background(), kvOf(i, 0.95)))
			want := time.Duration(0)
			if i == 0 {
				want = saveTimeout
			}
			assert.Equal(t, want, time.Since(start), "batch %d", i)
			time.Sleep(7 * time.Second)
			synctest.Wait()
		}
		require.NoError(t, p.Shutdown(context.Background()))
		assert.Len(t, out.states(t), 5)
		assert.True(t, kept.holds("v1/firing/"), "late is stored all the same")
	})
}

// together sends batches at the same time, each with an alert of its own.
func together(t *testing.T, n int, p *threshold, limit time.Duration) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			start := time.Now()
			assert.NoError(t, p.ConsumeMetrics(context.Background(), kvOf(i, 0.95)))
			assert.Less(t, time.Since(start), limit)
		})
	}
	all.Wait()
}

// kvOf is a batch with one point, of an instance of its own.
func kvOf(instance int, v float64) pmetric.Metrics {
	md := kv(time.Now(), v)
	md.ResourceMetrics().At(0).Resource().Attributes().PutStr("service.instance.id", fmt.Sprint(instance))
	return md
}

// slow is a storage that takes its time.
type slow struct {
	*memory
	takes time.Duration
}

func (s *slow) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{memoryID: s}
}

func (s *slow) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return s, nil
}

func (s *slow) Batch(ctx context.Context, ops ...*storage.Operation) error {
	time.Sleep(s.takes)
	return s.memory.Batch(ctx, ops...)
}

// A state that was damaged is passed over, with the rest of it used, and what may have fired is announced when healthy.
func TestDamagedStateIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, out := newMemory(), &sink{}
		p := run(t, storedConfig(), out, kept)
		require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.95)))
		p.kill()
		for key := range kept.kept {
			if key != metaKey {
				kept.kept[key] = []byte("half a docum")
			}
		}
		out.clear()
		p = run(t, storedConfig(), out, kept)
		for range 4 {
			time.Sleep(15 * time.Second)
			require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.5)))
		}
		assert.Equal(t, []string{"inactive critical recovered"}, out.story(t))
		require.NoError(t, p.Shutdown(context.Background()))
	})
}

func TestStorageMustBeThere(t *testing.T) {
	p, err := newThreshold(processortest.NewNopSettings(NewFactory().Type()), storedConfig(), &sink{})
	require.NoError(t, err)
	assert.EqualError(t, p.Start(context.Background(), componenttest.NewNopHost()),
		`storage: extension "memory" is not there: name it under service.extensions`)
	require.NoError(t, p.Shutdown(context.Background()))

	p, err = newThreshold(processortest.NewNopSettings(NewFactory().Type()), storedConfig(), &sink{})
	require.NoError(t, err)
	assert.EqualError(t, p.Start(context.Background(), notStorage{}), `storage: extension "memory" is not a storage`)
	require.NoError(t, p.Shutdown(context.Background()))
}

type notStorage struct {
	component.StartFunc
	component.ShutdownFunc
}

func (n notStorage) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{memoryID: n}
}
