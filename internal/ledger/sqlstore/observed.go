package sqlstore

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// observed keeps, for each open episode, what repetitions told since it was last written. It holds nothing for
// others, so that the number of open episodes bounds it.
type observed struct {
	// shared: other Collectors open and end episodes, too.
	shared bool
	mu     sync.RWMutex
	last   map[string]*observation // nil value: open, nothing observed since the last write
}

// observation is the latest one, with the extremes of all since the episode was last written.
type observation struct {
	ledger.Observation
	lowest, highest float64 // +Inf, -Inf: no value yet
	trace           ledger.Trace
}

// effect is what a committed PutEpisode means for the observations.
type effect struct {
	episodeID string
	open      bool
	judgedAt  time.Time
}

type effects []effect

func openEpisodes(ctx context.Context, s *session) ([]string, error) {
	statement, err := s.prepared("SELECT id FROM episodes WHERE ended_at = 0")
	if err != nil {
		return nil, err
	}
	rows, err := statement.QueryContext(ctx)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func (o *observed) reset(open []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = make(map[string]*observation, len(open))
	for _, id := range open {
		o.last[id] = nil
	}
}

func (o *observed) open() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.last)
}

func (o *observed) take(observations map[string]ledger.Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, given := range observations {
		known, open := o.last[id]
		if !open {
			continue
		}
		if known == nil {
			known = &observation{lowest: math.Inf(1), highest: math.Inf(-1)}
			o.last[id] = known
		} else if !given.JudgedAt.After(known.JudgedAt) {
			continue
		}
		if given.Value == nil { // nothing was observed: the last value stands
			given.Value, given.ObservedAt = known.Value, known.ObservedAt
		} else if v := *given.Value; !math.IsNaN(v) {
			known.lowest, known.highest = min(known.lowest, v), max(known.highest, v)
			known.trace = known.trace.With(given.ObservedAt, v)
		}
		if given.FiringLevel == nil {
			given.FiringLevel = known.FiringLevel
		}
		given.Levels = known.Levels.Merge(given.Levels)
		known.Observation = given
	}
}

// apply follows a commit: an ended episode is forgotten, and so is what a written one contains.
func (o *observed) apply(committed effects) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range committed {
		if !c.open {
			delete(o.last, c.episodeID)
			continue
		}
		if known := o.last[c.episodeID]; known == nil || !known.JudgedAt.After(c.judgedAt) {
			o.last[c.episodeID] = nil
		}
	}
}

// know notes that another Collector has opened or ended an episode. It is told what was read outside of updates, which is
// committed; those of this Collector come through apply.
func (o *observed) know(e *ledger.Episode) {
	o.mu.RLock()
	_, open := o.last[e.ID]
	o.mu.RUnlock()
	if open == e.Open() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !e.Open() {
		delete(o.last, e.ID)
	} else if _, known := o.last[e.ID]; !known {
		o.last[e.ID] = nil
	}
}

// show lays what was observed since over an episode as it was read.
func (o *observed) show(e *ledger.Episode) {
	if !e.Open() {
		return
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	known := o.last[e.ID]
	if known == nil || !known.JudgedAt.After(e.JudgedAt) {
		return
	}
	e.JudgedAt = known.JudgedAt
	if known.SeenAt.After(e.SeenAt) {
		e.SeenAt = known.SeenAt
	}
	if known.FiringLevel != nil {
		level := *known.FiringLevel
		e.FiringLevel = &level
	}
	e.Levels = e.Levels.Merge(known.Levels)
	if known.Value == nil {
		return
	}
	value := *known.Value
	e.Value, e.ObservedAt = &value, known.ObservedAt
	e.Trace = e.Trace.Merge(known.trace)
	if known.lowest <= known.highest {
		e.ExtendPeak(known.lowest)
		e.ExtendPeak(known.highest)
	}
}
