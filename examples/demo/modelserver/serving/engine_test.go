package serving

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newEngine(t require.TestingT, size Size) (*Engine, *Metrics, *prometheus.Registry) {
	registry := prometheus.NewRegistry()
	metrics := NewMetrics(registry, "m", "0")
	e, err := NewEngine(size, metrics)
	require.NoError(t, err)
	return e, metrics, registry
}

func ended(r *Request) bool {
	select {
	case <-r.Done():
		return true
	default:
		return false
	}
}

func TestOneRequest(t *testing.T) {
	e, m, _ := newEngine(t, Size{Slots: 1, Blocks: 4, Queue: 4, Tokens: 64})
	r, err := e.Submit(noon, 16, 2, 100)
	require.NoError(t, err)
	assert.InDelta(t, 1, testutil.ToFloat64(m.waiting), 0)

	e.Step(noon.Add(time.Second)) // admitted: the prompt takes one block
	assert.InDelta(t, 0, testutil.ToFloat64(m.waiting), 0)
	assert.InDelta(t, 1, testutil.ToFloat64(m.running), 0)
	assert.InDelta(t, 0.25, testutil.ToFloat64(m.cache), 0)
	assert.InDelta(t, 16, testutil.ToFloat64(m.prompt), 0)

	e.Step(noon.Add(2 * time.Second)) // the 17th token takes a second block
	assert.InDelta(t, 0.5, testutil.ToFloat64(m.cache), 0)
	assert.False(t, ended(r))

	e.Step(noon.Add(3 * time.Second))
	require.True(t, ended(r))
	tokens, reason := r.Answer()
	assert.Equal(t, 2, tokens)
	assert.Equal(t, Length, reason)
	assert.InDelta(t, 0, testutil.ToFloat64(m.running), 0)
	assert.InDelta(t, 0, testutil.ToFloat64(m.cache), 0)
	assert.InDelta(t, 2, testutil.ToFloat64(m.generation), 0)
	assert.InDelta(t, 1, testutil.ToFloat64(m.success[Length]), 0)
}

func TestLatencies(t *testing.T) {
	e, _, registry := newEngine(t, Size{Slots: 1, Blocks: 4, Queue: 4, Tokens: 64})
	_, err := e.Submit(noon, 1, 3, 100)
	require.NoError(t, err)
	for s := 1; s <= 4; s++ { // admitted at 1 s; tokens at 2, 3 and 4 s
		e.Step(noon.Add(time.Duration(s) * time.Second))
	}
	sums := map[string]float64{}
	counts := map[string]uint64{}
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); h != nil {
			sums[f.GetName()], counts[f.GetName()] = h.GetSampleSum(), h.GetSampleCount()
		}
	}
	assert.Equal(t, map[string]float64{
		"vllm:request_queue_time_seconds": 1, "vllm:time_to_first_token_seconds": 2,
		"vllm:inter_token_latency_seconds": 2, "vllm:e2e_request_latency_seconds": 4,
	}, sums)
	assert.Equal(t, map[string]uint64{
		"vllm:request_queue_time_seconds": 1, "vllm:time_to_first_token_seconds": 1,
		"vllm:inter_token_latency_seconds": 2, "vllm:e2e_request_latency_seconds": 1,
	}, counts)
}

func TestStopsBeforeTheLimit(t *testing.T) {
	e, m, _ := newEngine(t, Size{Slots: 1, Blocks: 4, Queue: 4, Tokens: 64})
	r, err := e.Submit(noon, 1, 10, 2)
	require.NoError(t, err)
	for s := range 3 {
		e.Step(noon.Add(time.Duration(s) * time.Second))
	}
	require.True(t, ended(r))
	tokens, reason := r.Answer()
	assert.Equal(t, 2, tokens)
	assert.Equal(t, Stop, reason)
	assert.InDelta(t, 1, testutil.ToFloat64(m.success[Stop]), 0)
}

func TestQueueIsBounded(t *testing.T) {
	e, m, _ := newEngine(t, Size{Slots: 1, Blocks: 4, Queue: 2, Tokens: 64})
	for range 2 {
		_, err := e.Submit(noon, 1, 1, 1)
		require.NoError(t, err)
	}
	_, err := e.Submit(noon, 1, 1, 1)
	require.ErrorIs(t, err, ErrQueueFull)
	assert.InDelta(t, 2, testutil.ToFloat64(m.waiting), 0)
	_, err = e.Submit(noon, 60, 5, 1)
	require.ErrorIs(t, err, ErrTooLong)
	_, err = e.Submit(noon, int(^uint(0)>>1), 5, 1)
	require.ErrorIs(t, err, ErrTooLong)
	_, err = e.Submit(noon, 0, 5, 1)
	require.ErrorIs(t, err, ErrEmpty)
}

func TestCancel(t *testing.T) {
	e, m, _ := newEngine(t, Size{Slots: 1, Blocks: 4, Queue: 4, Tokens: 64})
	running, err := e.Submit(noon, 20, 10, 10)
	require.NoError(t, err)
	waiting, err := e.Submit(noon, 20, 10, 10)
	require.NoError(t, err)
	e.Step(noon)
	e.Cancel(noon, running)
	e.Cancel(noon, waiting)
	e.Cancel(noon, waiting) // a second time changes nothing
	assert.True(t, ended(running))
	assert.True(t, ended(waiting))
	assert.InDelta(t, 2, testutil.ToFloat64(m.success[Abort]), 0)
	assert.InDelta(t, 0, testutil.ToFloat64(m.cache), 0)
	assert.InDelta(t, 0, testutil.ToFloat64(m.waiting), 0)
}

// Two requests of one block each grow at the same time, and there are three blocks: the later one gives way, waits in
// front of everybody, and still ends with all its tokens.
func TestPreemption(t *testing.T) {
	e, m, _ := newEngine(t, Size{Slots: 2, Blocks: 3, Queue: 4, Tokens: 48})
	first, err := e.Submit(noon, 16, 4, 4)
	require.NoError(t, err)
	second, err := e.Submit(noon, 16, 4, 4)
	require.NoError(t, err)
	third, err := e.Submit(noon, 16, 1, 1)
	require.NoError(t, err)
	e.Step(noon)
	e.Step(noon)
	assert.InDelta(t, 1, testutil.ToFloat64(m.preemption), 0)
	assert.Equal(t, []*Request{first}, e.running)
	assert.Equal(t, []*Request{second, third}, e.waiting)
	for range 20 {
		e.Step(noon)
	}
	for _, r := range []*Request{first, second, third} {
		assert.True(t, ended(r))
	}
	tokens, _ := second.Answer()
	assert.Equal(t, 4, tokens)
	assert.InDelta(t, 48, testutil.ToFloat64(m.prompt), 0, "a prompt that is read again counts once")
}

func TestSizeThatCannotWork(t *testing.T) {
	metrics := NewMetrics(prometheus.NewRegistry(), "m", "0")
	for _, size := range []Size{{}, {Slots: 1, Blocks: 3, Queue: 1, Tokens: 64}, {Slots: 0, Blocks: 4, Queue: 1, Tokens: 64}} {
		_, err := NewEngine(size, metrics)
		assert.Error(t, err, size)
	}
}

// Whatever comes in whatever order: no block is lost or used twice, no bound is passed, every request is in one place,
// and when nothing more comes, everything ends.
func TestAccountsBalance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := Size{
			Slots: rapid.IntRange(1, 5).Draw(t, "slots"), Blocks: rapid.IntRange(4, 12).Draw(t, "blocks"),
			Queue: rapid.IntRange(1, 6).Draw(t, "queue"), Tokens: 64,
		}
		e, m, _ := newEngine(t, size)
		now := noon
		var all []*Request
		check := func() {
			used := 0
			for _, r := range e.running {
				assert.GreaterOrEqual(t, r.blocks, blocksFor(r.prompt+r.generated))
				used += r.blocks
			}
			for _, r := range e.waiting {
				assert.Zero(t, r.blocks)
			}
			require.Equal(t, size.Blocks, used+e.free)
			require.GreaterOrEqual(t, e.free, 0)
			require.LessOrEqual(t, len(e.running), size.Slots)
			finished := 0
			for _, r := range all {
				if ended(r) {
					finished++
				}
			}
			require.Equal(t, len(all), finished+len(e.running)+len(e.waiting))
			counted := 0.0
			for _, c := range m.success {
				counted += testutil.ToFloat64(c)
			}
			require.InDelta(t, finished, counted, 0)
			require.InDelta(t, float64(used)/float64(size.Blocks), testutil.ToFloat64(m.cache), 1e-9)
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { check() },
			"submit": func(t *rapid.T) {
				prompt := rapid.IntRange(1, 40).Draw(t, "prompt")
				limit := rapid.IntRange(1, 64-prompt).Draw(t, "limit")
				full := len(e.waiting) >= size.Queue
				r, err := e.Submit(now, prompt, limit, rapid.IntRange(1, 64).Draw(t, "stop"))
				if full {
					require.ErrorIs(t, err, ErrQueueFull)
					return
				}
				require.NoError(t, err)
				all = append(all, r)
			},
			"step": func(*rapid.T) {
				now = now.Add(20 * time.Millisecond)
				e.Step(now)
			},
			"cancel": func(t *rapid.T) {
				if len(all) > 0 {
					e.Cancel(now, rapid.SampledFrom(all).Draw(t, "request"))
				}
			},
		})
		for range 100 * len(all) {
			e.Step(now)
		}
		check()
		require.Empty(t, e.running)
		require.Empty(t, e.waiting)
	})
}
