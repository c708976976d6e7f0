package escalationexporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// told is an Alertmanager that believes what it is told.
type told struct {
	mu    sync.Mutex
	err   error
	posts int
	ends  map[string]time.Time // by alert's labels
}

func (a *told) Post(_ context.Context, alerts []notify.Alert, validUntil time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	a.posts++
	for _, one := range alerts {
		id := one.Labels["instance"] + "/" + one.Labels["severity"]
		a.ends[id] = validUntil
		if !one.EndsAt.IsZero() {
			a.ends[id] = one.EndsAt
		}
	}
	return nil
}

func (a *told) Close() {}

func (a *told) set(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

// firing are the alerts that fire there now.
func (a *told) firing() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := []string{}
	for id, end := range a.ends {
		if end.After(time.Now()) {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

// playPeers runs a test with two Alertmanagers.
func playPeers(t *testing.T, test func(t *testing.T, r *rig, first, second *told)) {
	t.Helper()
	play(t, func(t *testing.T, r *rig) {
		r.finish()
		first, second := &told{ends: map[string]time.Time{}}, &told{ends: map[string]time.Time{}}
		r.peers = []poster{first, second}
		r.begin()
		test(t, r, first, second)
	})
}

func TestPeersAreToldAsItStands(t *testing.T) {
	playPeers(t, func(t *testing.T, r *rig, first, second *told) {
		r.fires("a", alert.High)
		r.after(time.Second)
		require.Equal(t, []string{"a/high"}, first.firing(), "at once, whatever the window")
		require.Equal(t, []string{"a/high"}, second.firing())
		r.fires("a", alert.Critical)
		r.after(time.Second)
		require.Equal(t, []string{"a/critical"}, first.firing(), "other labels are another alert")
		r.stays(30*time.Minute, "a", alert.Critical)
		require.Equal(t, []string{"a/critical"}, first.firing(), "told again before it runs out")
		require.Less(t, first.posts, 60)
		s := r.silences("a", time.Hour)
		r.after(time.Second)
		require.Empty(t, first.firing(), "what is held is not told of")
		_ = s
		r.recovers("a")
		r.after(time.Second)
		require.Empty(t, first.firing())
	})
}

func TestPeersHearOfEndsForAWhile(t *testing.T) {
	playPeers(t, func(t *testing.T, r *rig, first, second *told) {
		r.fires("a", alert.High)
		r.after(time.Second)
		second.set(&notify.SendError{Destination: "alertmanagers[1]", Err: errors.New("connection refused")})
		r.recovers("a")
		r.after(2 * time.Minute)
		require.Empty(t, first.firing(), "one that is down delays no other")
		require.Equal(t, []string{"a/high"}, second.firing())
		second.set(nil)
		r.after(time.Minute)
		require.Empty(t, second.firing(), "it is told of the end when it is back")
	})
}

func TestPeersAreToldOfEndsFromBeforeARestart(t *testing.T) {
	playPeers(t, func(t *testing.T, r *rig, first, second *told) {
		r.fires("a", alert.High)
		r.after(time.Second)
		second.set(errors.New("away"))
		r.recovers("a")
		r.after(time.Second)
		r.finish()
		second.set(nil)
		r.begin()
		r.after(time.Second)
		require.Empty(t, second.firing())
		require.Empty(t, first.firing())
		r.after(20 * time.Minute)
		posts := first.posts
		r.after(20 * time.Minute)
		require.Equal(t, posts, first.posts, "an end is repeated for 15 minutes")
	})
}

// A missed send does not end anything: what fires is told for four intervals.
func TestPeersThatMissASend(t *testing.T) {
	playPeers(t, func(t *testing.T, r *rig, first, _ *told) {
		r.fires("a", alert.High)
		r.after(time.Second)
		first.set(errors.New("away"))
		r.stays(3*time.Minute, "a", alert.High)
		require.Equal(t, []string{"a/high"}, first.firing())
		first.set(nil)
		r.stays(2*time.Minute, "a", alert.High)
		require.Equal(t, []string{"a/high"}, first.firing())
	})
}

func TestAFloodForPeers(t *testing.T) {
	playPeers(t, func(t *testing.T, r *rig, first, _ *told) {
		var all []alert.Alert
		for i := range 1000 {
			all = append(all, r.judge(fmt.Sprintf("a%03d", i), alert.Firing, alert.High))
		}
		r.consume(all...)
		r.after(2 * time.Second)
		require.Len(t, first.firing(), 1000)
		require.Less(t, first.posts, 40)
	})
}
