package thresholdprocessor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
)

// taker is a next consumer that decides about each call.
type taker func(ctx context.Context, md pmetric.Metrics) error

func (taker) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (t taker) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error { return t(ctx, md) }

func outboxTo(t require.TestingT, next consumer.Metrics) *outbox {
	tell, err := newTelemetry(componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	return newOutbox(next, tell, zap.NewNop())
}

// said is what a batch of states says, in short: "id@number" each.
func said(md pmetric.Metrics) (all []string) {
	alert.Read(md, func(a alert.Alert) { all = append(all, fmt.Sprintf("%s@%d", a.ID, a.Time.UnixNano())) }, func(alert.Problem) {})
	return all
}

// change is a state that is no repetition; n makes it what it is.
func change(id, n int) evaluate.Emission {
	return evaluate.Emission{Alert: alert.Alert{
		ID: fmt.Sprint(id), Rule: "R", Severity: alert.High, State: alert.Firing, Time: time.Unix(0, int64(n)),
	}}
}

// However often the next consumer refuses, and whenever, what it has taken in the end is all that was pushed, in order.
func TestOutboxKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var taken, want []string
		o := outboxTo(t, taker(func(_ context.Context, md pmetric.Metrics) error {
			if rapid.Bool().Draw(t, "refuse") {
				return errors.New("not now")
			}
			taken = append(taken, said(md)...)
			return nil
		}))
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				var batch []evaluate.Emission
				for range rapid.IntRange(1, 5).Draw(t, "states") {
					n++
					batch = append(batch, change(rapid.IntRange(0, 2).Draw(t, "alert"), n))
					if rapid.IntRange(0, 4).Draw(t, "large") == 0 { // so that it takes several calls
						batch[len(batch)-1].Response = strings.Repeat("x", callSize)
					}
					want = append(want, fmt.Sprintf("%s@%d", batch[len(batch)-1].ID, n))
				}
				o.push(batch)
			},
			"flush": func(*rapid.T) { o.flush(context.Background(), false) },
			"retry": func(*rapid.T) { o.flush(context.Background(), true) },
			"": func(t *rapid.T) {
				if !slices.Equal(want[:len(taken)], taken) || o.size() != len(want)-len(taken) {
					t.Fatalf("taken %v of %v, %d wait", taken, want, o.size())
				}
			},
		})
	})
}

// No call is larger than what a gRPC receiver takes by default, however many states there are.
func TestCallsAreOfABoundedSize(t *testing.T) {
	const states, grpcDefault = 20_000, 4 << 20
	n, calls := 0, 0
	o := outboxTo(t, taker(func(_ context.Context, md pmetric.Metrics) error {
		calls++
		n += md.DataPointCount()
		assert.Less(t, (&pmetric.ProtoMarshaler{}).MetricsSize(md), grpcDefault)
		return nil
	}))
	var all []evaluate.Emission
	for i := range states {
		e := change(i, i)
		e.Response = "Drain the replica, then add one, then tell whoever owns the model about it."
		e.Labels = map[string]string{"job": "serving/vllm", "instance": "5f0c1a52-0000-4000-8000-000000000000", "model_name": "llama-70b"}
		e.Annotations = map[string]string{"summary": strings.Repeat("KV cache 97% full. ", i%40)}
		all = append(all, e)
	}
	o.push(all)
	o.flush(context.Background(), false)
	assert.Equal(t, states, n)
	assert.Greater(t, calls, 3)
	assert.Less(t, calls, 50)
}

// Of two consumers one refuses for good reasons and for long. The other gets everything within a second of the patience
// that is had with the first, in order; and the first, when it is back, all of it, too.
func TestOneThatRefusesDoesNotBlindTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuses := true
		var first, other []string
		o := outboxTo(t, taker(func(_ context.Context, md pmetric.Metrics) error {
			for _, s := range said(md) {
				if !slices.Contains(other, s) {
					other = append(other, s)
				}
			}
			if refuses {
				return errors.New("full")
			}
			first = append(first, said(md)...)
			return nil
		}))
		tick := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); {
				time.Sleep(tickInterval)
				o.flush(context.Background(), true)
			}
		}
		var want []string
		push := func(n int) {
			e := change(0, n)
			e.Response = strings.Repeat("x", callSize) // each in a call of its own
			o.push([]evaluate.Emission{e})
			want = append(want, fmt.Sprintf("0@%d", n))
		}
		push(1)
		push(2)
		tick(bypassAfter - time.Second)
		require.Equal(t, want[:1], other, "as long as it may be a single consumer the order comes first")
		tick(3 * time.Second)
		require.Equal(t, want, other)
		push(3)
		tick(time.Second)
		require.Equal(t, want, other, "what is new is not late")
		require.Empty(t, first)

		refuses = false
		tick(time.Second)
		require.Equal(t, want, first)
		require.Zero(t, o.size())
	})
}

// A call that is refused again and again (and not for good) keeps its place; what is behind it goes out.
func TestWhatIsRefusedKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var taken []string
		refused := "0@1"
		o := outboxTo(t, taker(func(_ context.Context, md pmetric.Metrics) error {
			if slices.Contains(said(md), refused) {
				return errors.New("not this one")
			}
			taken = append(taken, said(md)...)
			return nil
		}))
		for n := range 4 {
			e := change(0, n+1)
			e.Response = strings.Repeat("x", callSize)
			o.push([]evaluate.Emission{e})
		}
		for end := time.Now().Add(bypassAfter + 2*time.Second); time.Now().Before(end); time.Sleep(tickInterval) {
			o.flush(context.Background(), true)
		}
		require.Equal(t, []string{"0@2", "0@3", "0@4"}, taken)
		require.Equal(t, 1, o.size())
		refused = ""
		o.flush(context.Background(), true)
		require.Equal(t, []string{"0@2", "0@3", "0@4", "0@1"}, taken)
		require.Zero(t, o.size())
	})
}

// States belong to no client: they go out without the metadata of whose batch happens to come along, and a client that
// goes away takes none with it.
func TestStatesBelongToNoClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var states []client.Info
		out := &sink{}
		p := run(t, storedConfig(), taker(func(ctx context.Context, md pmetric.Metrics) error {
			if isState(md) {
				states = append(states, client.FromContext(ctx))
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return out.ConsumeMetrics(ctx, md)
		}), newMemory().known(time.Now()))
		ctx := client.NewContext(context.Background(), client.Info{Metadata: client.NewMetadata(map[string][]string{"tenant": {"a"}})})
		require.NoError(t, p.ConsumeMetrics(ctx, kv(time.Now(), 0.95)))
		require.Len(t, states, 1)
		assert.Empty(t, states[0].Metadata.Get("tenant"))

		time.Sleep(100 * time.Millisecond)
		left, leave := context.WithCancel(ctx)
		leave()
		require.ErrorIs(t, p.ConsumeMetrics(left, kv(time.Now(), 0.5)), context.Canceled)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"firing high threshold", "inactive high recovered"}, out.story(t))
		require.NoError(t, p.Shutdown(context.Background()))
	})
}

// When a batch goes on, what it changed is stored and said, whoever did that: many at once share the writes, and a kill
// at any moment after one of them has gone on must find it.
func TestABatchGoesOnAfterItsChangeIsStored(t *testing.T) {
	kept := &slow{memory: newMemory().known(time.Now()), takes: 2 * time.Millisecond}
	var mu sync.Mutex
	heard := map[string]bool{}
	stored := func(instance int) bool {
		kept.mu.Lock()
		defer kept.mu.Unlock()
		for key, content := range kept.kept {
			if strings.HasPrefix(key, "v1/firing/") && strings.Contains(string(content), fmt.Sprintf(`"instance":"%d"`, instance)) {
				return true
			}
		}
		return false
	}
	p := run(t, storedConfig(), taker(func(_ context.Context, md pmetric.Metrics) error {
		alert.Read(md, func(a alert.Alert) {
			mu.Lock()
			defer mu.Unlock()
			heard[a.Labels["instance"]] = true
		}, func(alert.Problem) {})
		return nil
	}), kept)
	const senders, each = 16, 60
	var all sync.WaitGroup
	for sender := range senders {
		all.Go(func() {
			for i := range each {
				instance := sender*each + i
				md := kvOf(instance, 0.95)
				// Judging goes on for a while after the change: meanwhile others may take it with theirs.
				rest := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
				for range 5000 {
					rest.AppendEmpty().SetName("idle")
				}
				assert.NoError(t, p.ConsumeMetrics(context.Background(), md))
				assert.True(t, stored(instance), "instance %d", instance)
			}
		})
	}
	all.Wait()
	require.NoError(t, p.Shutdown(context.Background()))
	assert.Len(t, heard, senders*each)
}

// A refusal for good is counted once; the other consumers' refusals for now keep the states.
func TestRefusedForGoodByOneAndForNowByAnother(t *testing.T) {
	err := errors.Join(consumererror.NewPermanent(errors.New("too large")), errors.New("full"))
	o := outboxTo(t, taker(func(context.Context, pmetric.Metrics) error { return err }))
	o.push([]evaluate.Emission{change(1, 1)})
	o.flush(context.Background(), true)
	assert.Equal(t, 1, o.size())
	err = consumererror.NewPermanent(errors.New("too large"))
	o.flush(context.Background(), true)
	assert.Zero(t, o.size())
}
