package thresholdprocessor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
	"github.com/otelcol-escalation/otelcol-escalation/processor/thresholdprocessor/internal/metadatatest"
)

// An hour of one alert, in which the next consumer refuses a number of states in a row: what it has in the end is what
// it would have had.
func TestRefusedStatesArriveInOrder(t *testing.T) {
	values := []float64{0.5, 0.95, 0.99, 0.99, 0.99, 0.99, 0.93, 0.5, 0.99, 0.5}
	hour := func(t *testing.T, refusals int) (states []alert.Alert) {
		synctest.Test(t, func(t *testing.T) {
			out := &sink{}
			refused := 0
			out.refuseWith(func(md pmetric.Metrics) error {
				if isState(md) && refused < refusals {
					refused++
					return errors.New("full")
				}
				return nil
			})
			p := run(t, kvConfig(), out, newMemory().known(time.Now()))
			for _, v := range values {
				time.Sleep(20 * time.Second)
				synctest.Wait()
				require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), v)), "a batch fails with its own error alone")
			}
			time.Sleep(time.Hour)
			require.NoError(t, p.Shutdown(context.Background()))
			assert.Equal(t, refusals, refused)
			states = out.states(t)
		})
		return states
	}
	want := hour(t, 0)
	require.Len(t, want, 6)
	for _, refusals := range []int{1, 2, 3, 7, 50, 300} {
		t.Run(fmt.Sprint(refusals), func(t *testing.T) {
			assert.Equal(t, want, hour(t, refusals))
		})
	}
}

// A batch that the next consumer refuses comes again; its states have gone out and are not said twice.
func TestRefusedBatchDoesNotTakeStatesWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		refusal := errors.New("try later")
		out.refuseWith(func(md pmetric.Metrics) error {
			if isState(md) {
				return nil
			}
			return refusal
		})
		cfg := kvConfig()
		cfg.Storage = &memoryID
		p := run(t, cfg, out, newMemory().known(time.Now()))
		md := kv(time.Now(), 0.95)
		for range 3 {
			require.ErrorIs(t, p.ConsumeMetrics(context.Background(), md), refusal)
		}
		assert.Equal(t, []string{"firing high threshold"}, out.story(t))
		out.refuseWith(nil)
		require.NoError(t, p.ConsumeMetrics(context.Background(), md))
		require.NoError(t, p.Shutdown(context.Background()))
		assert.Equal(t, 2, out.all().ResourceMetrics().Len(), "one state, one batch")
	})
}

func TestPermanentRefusalIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel := componenttest.NewTelemetry()
		out := &sink{}
		out.refuseWith(func(md pmetric.Metrics) error {
			if isState(md) {
				return consumererror.NewPermanent(errors.New("too large"))
			}
			return nil
		})
		p := runWith(t, tel, kvConfig(), out, newMemory())
		require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.95, 0.96)))
		metadatatest.AssertEqualProcessorThresholdOutboxDropped(t, tel, counted("reason", dropRefused, 2), ignoringTime)
		metadatatest.AssertEqualProcessorThresholdOutboxPoints(t, tel, []metricdata.DataPoint[int64]{{Value: 0}}, ignoringTime)

		out.refuseWith(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"firing high threshold", "firing high threshold"}, out.story(t), "what is active is repeated")
		require.NoError(t, p.Shutdown(context.Background()))
		require.NoError(t, tel.Shutdown(context.Background()))
	})
}

// A call is never larger than a gRPC receiver takes by default, and a next consumer that takes the states but has one
// behind it that refuses for ever gets the newer ones as well.
func TestStatesBehindRefusedOnesAreOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tell, err := newTelemetry(componenttest.NewNopTelemetrySettings())
		require.NoError(t, err)
		offered := map[string]bool{}
		out := &sink{}
		out.refuseWith(func(md pmetric.Metrics) error {
			assert.Less(t, (&pmetric.ProtoMarshaler{}).MetricsSize(md), 4<<20)
			alert.Read(md, func(a alert.Alert) { offered[a.ID] = true }, func(p alert.Problem) { t.Error(p) })
			return errors.New("one of two is down")
		})
		o := newOutbox(out, tell, zap.NewNop())
		const states = 9_000 // some 10 MB
		for i := range states {
			o.push([]evaluate.Emission{{Alert: alert.Alert{
				ID: fmt.Sprint(i), Rule: "r", Severity: alert.High, State: alert.Firing, Time: time.Now(), Response: strings.Repeat("x", 1000),
			}}})
		}
		o.flush(context.Background(), true)
		assert.Less(t, len(offered), states/2, "as long as it may be a passing failure they wait for their turn")
		time.Sleep(bypassAfter)
		o.flush(context.Background(), true)
		assert.Len(t, offered, states)
		assert.Equal(t, states, o.size(), "refused is refused: they are sent again")

		out.refuseWith(nil)
		o.flush(context.Background(), true)
		assert.Zero(t, o.size())
		assert.Len(t, out.states(t), states)
	})
}

// Several consumers' errors come joined. While one of them may still take the states they are kept.
func TestPermanent(t *testing.T) {
	gone, later := consumererror.NewPermanent(errors.New("gone")), errors.New("later")
	assert.True(t, permanent(gone))
	assert.True(t, permanent(errors.Join(gone, gone)))
	assert.False(t, permanent(later))
	assert.False(t, permanent(errors.Join(gone, later)))
}

func TestOutboxIsBounded(t *testing.T) {
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(context.Background())) }()
	tell, err := newTelemetry(tel.NewTelemetrySettings())
	require.NoError(t, err)
	o := newOutbox(&sink{}, tell, zap.NewNop())
	emission := func(id int, repeated bool) evaluate.Emission {
		return evaluate.Emission{Alert: alert.Alert{ID: fmt.Sprint(id)}, Repeated: repeated}
	}

	// Repetitions of one alert, which each say what the one before said, do not pile up.
	for range 3 * outboxLimit {
		o.push([]evaluate.Emission{emission(1, true)})
	}
	require.LessOrEqual(t, o.size(), outboxRoom+1)
	o.push([]evaluate.Emission{emission(1, false)})

	// Changes do, as far as there is room; then the oldest go.
	var changes []evaluate.Emission
	for i := range outboxLimit {
		changes = append(changes, emission(i, false))
	}
	o.push(changes)
	o.push([]evaluate.Emission{emission(-1, false)})
	require.Equal(t, outboxLimit, o.size())
	newest := o.waiting[len(o.waiting)-1]
	assert.Equal(t, "-1", newest.ID)
	assert.Equal(t, "1", o.waiting[0].ID, "the oldest change went, and with it all that was older")

	o.flush(context.Background(), true)
	assert.Zero(t, o.size())

	// A change is never let go for a later one: each is an event for whoever reads them.
	for range outboxRoom {
		o.push([]evaluate.Emission{emission(1, false), emission(1, true)})
	}
	assert.GreaterOrEqual(t, o.size(), outboxRoom)
	changed := 0
	for _, e := range o.waiting {
		if !e.Repeated {
			changed++
		}
	}
	assert.Equal(t, outboxRoom, changed)
}

// What waits when the Collector stops is offered once more.
func TestShutdownSendsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		out.refuseWith(func(pmetric.Metrics) error { return errors.New("full") })
		p := run(t, storedConfig(), out, newMemory().known(time.Now()))
		require.Error(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.95)))
		out.refuseWith(nil)
		require.NoError(t, p.Shutdown(context.Background()))
		assert.Equal(t, []string{"firing high threshold"}, out.story(t))
	})
}

// Batches at the same time, under -race: every alert fires once, is said in the order of its times, and nothing is lost.
func TestConcurrentBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		cfg := kvConfig()
		cfg.Storage = &memoryID
		p := run(t, cfg, out, newMemory().known(time.Now()))
		const senders, rounds = 8, 50
		var all sync.WaitGroup
		for sender := range senders {
			all.Go(func() {
				for range rounds {
					v := 0.95
					if time.Now().Second()%2 == 1 {
						v = 0.5
					}
					md := kv(time.Now(), v)
					md.ResourceMetrics().At(0).Resource().Attributes().PutStr("service.instance.id", fmt.Sprint(sender))
					assert.NoError(t, p.ConsumeMetrics(context.Background(), md))
					time.Sleep(time.Second)
				}
			})
		}
		all.Wait()
		require.NoError(t, p.Shutdown(context.Background()))
		last := map[string]alert.Alert{}
		changes := map[string]int{}
		alert.Read(out.all(), func(a alert.Alert) {
			before := last[a.ID]
			assert.True(t, a.Time.After(before.Time), "times of an alert rise")
			if a.State != before.State {
				changes[a.ID]++
			}
			last[a.ID] = a
		}, func(p alert.Problem) { t.Error(p) })
		assert.Len(t, last, senders)
		for id, n := range changes {
			assert.Equal(t, rounds, n, "alert %s goes up and down with every point", id)
		}
	})
}

var ignoringTime = metricdatatest.IgnoreTimestamp()

// counted is one point of a counter with one attribute.
func counted(name, value string, n int64) []metricdata.DataPoint[int64] {
	return []metricdata.DataPoint[int64]{{Attributes: attribute.NewSet(attribute.String(name, value)), Value: n}}
}
