package serving

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhenIncidentsAre(t *testing.T) {
	i := Incidents{First: 15 * time.Second, Every: 3 * time.Minute, Lasts: 45 * time.Second}
	require.NoError(t, i.Validate())
	for elapsed, want := range map[time.Duration]struct {
		slow bool
		rest time.Duration
	}{
		0:                 {false, 15 * time.Second},
		14 * time.Second:  {false, time.Second},
		15 * time.Second:  {true, 45 * time.Second},
		59 * time.Second:  {true, time.Second},
		60 * time.Second:  {false, 135 * time.Second},
		194 * time.Second: {false, time.Second},
		195 * time.Second: {true, 45 * time.Second},
		240 * time.Second: {false, 135 * time.Second},
	} {
		slow, rest := i.At(elapsed)
		assert.Equal(t, want.slow, slow, elapsed)
		assert.Equal(t, want.rest, rest, elapsed)
	}
	never, _ := Incidents{Every: time.Minute}.At(time.Hour)
	assert.False(t, never)
	assert.Error(t, Incidents{Every: time.Second, Lasts: time.Second}.Validate())
	assert.Error(t, Incidents{First: -1, Every: time.Minute, Lasts: time.Second}.Validate())
}

// A whole incident as the demo has it: quiet, then the cache fills and the queue grows, then both are as before.
func TestIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, m, _ := newEngine(t, Size{Slots: 128, Blocks: 1024, Queue: 256, Tokens: 2048})
		ctx, cancel := context.WithCancel(t.Context())
		said := make(chan string, 10)
		go e.Run(ctx, Pace{Usual: 20 * time.Millisecond, Incident: 150 * time.Millisecond},
			Incidents{First: 15 * time.Second, Every: 3 * time.Minute, Lasts: 45 * time.Second},
			func(s string) { said <- s })
		draws := rand.New(rand.NewPCG(1, 2))
		go func() { // five requests in a second, the lengths those of the demo's clients
			for ctx.Err() == nil {
				limit := 120 + draws.IntN(281)
				_, _ = e.Submit(time.Now(), 64+draws.IntN(193), limit, 1+limit/2+draws.IntN(limit/2))
				time.Sleep(time.Duration(draws.ExpFloat64() * float64(200*time.Millisecond)))
			}
		}()
		state := func() (cache, waiting float64) {
			synctest.Wait()
			return testutil.ToFloat64(m.cache), testutil.ToFloat64(m.waiting)
		}

		time.Sleep(14 * time.Second)
		cache, waiting := state()
		assert.Less(t, cache, 0.7)
		assert.Less(t, waiting, 5.0)
		assert.Empty(t, said)

		time.Sleep(26 * time.Second) // 25 s into the incident
		for range 10 {               // and for ten seconds more the cache stays that full: the demo's rule needs five
			cache, waiting = state()
			assert.Greater(t, cache, 0.95)
			assert.Greater(t, waiting, 20.0)
			time.Sleep(time.Second)
		}
		require.Len(t, said, 1)
		assert.Contains(t, <-said, "incident begins")

		time.Sleep(70 * time.Second) // 2 minutes after the start, one after the end
		cache, waiting = state()
		assert.Less(t, cache, 0.7)
		assert.Less(t, waiting, 5.0)
		require.Len(t, said, 1)
		assert.Contains(t, <-said, "incident ends")

		time.Sleep(80 * time.Second) // 3 minutes 20: the second one has begun
		synctest.Wait()
		assert.Len(t, said, 1)
		cancel()
		time.Sleep(5 * time.Second) // the client's last pause
	})
}
