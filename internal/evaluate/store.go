package evaluate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// State is stored in a fixed number of shards, because a storage extension cannot list its keys: alerts by the first
// byte of their id, streams by the first byte of their hash. What fires is stored at every change, the rest by snapshot.
// An alert that has ended is stored as long as its end is repeated: a kill between the store and the word that it is
// over must not leave it open elsewhere.

// shard holds the alerts of one part of the ids that fire, or fired and whose end is still repeated.
type shard struct {
	mu     sync.Mutex
	firing map[*alertState]struct{}
}

func shardIndex(id string) int {
	n, err := strconv.ParseUint(id[:min(2, len(id))], 16, 8)
	if err != nil {
		return 0
	}
	return int(n)
}

func (e *Evaluator) shardOf(id string) *shard { return &e.shards[shardIndex(id)] }

func (s *shard) keep(a *alertState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.firing[a] = struct{}{}
}

// forget reports whether the alert was stored.
func (s *shard) forget(a *alertState) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, stored := s.firing[a]
	delete(s.firing, a)
	return stored
}

// storedSeries is one series under one rule. Keys are short: there may be a million.
type storedSeries struct {
	Group string `json:"g"`
	Rule  string `json:"r"`
	// Key tells rules of one group and name apart, see ruleState.key; states of before it existed have none.
	Key    string            `json:"y,omitempty"`
	Stream uint64            `json:"h"`
	Labels map[string]string `json:"l"`

	Last     int64  `json:"t"`
	Trusted  int64  `json:"tt,omitempty"`
	Eff      int64  `json:"e"`
	Interval int64  `json:"i,omitempty"`
	First    int64  `json:"f,omitempty"`
	Value    uint64 `json:"v"` // bits, so that infinities survive

	Since   map[alert.Severity]int64 `json:"s,omitempty"`
	Active  []alert.Severity         `json:"a,omitempty"`
	Kept    alert.Severity           `json:"k,omitempty"`
	Cleared int64                    `json:"c,omitempty"`
	Start   int64                    `json:"b,omitempty"`
	Firing  bool                     `json:"x,omitempty"`
	NoData  bool                     `json:"n,omitempty"`

	Levels map[alert.Severity]storedLevel `json:"fl,omitempty"`

	Triggers map[alert.Action]storedTrigger `json:"tr,omitempty"`
}

func (s storedSeries) compare(o storedSeries) int {
	return cmp.Or(cmp.Compare(s.Stream, o.Stream), cmp.Compare(s.Group, o.Group), cmp.Compare(s.Rule, o.Rule), cmp.Compare(s.Key, o.Key))
}

// storedAlert is one alert: what was last said of it, and its series, none where it has ended.
type storedAlert struct {
	Said alert.Alert `json:"said"`
	// Key is that of the rule, see storedSeries.
	Key    string         `json:"key,omitempty"`
	Series []storedSeries `json:"series"`
}

// FiringShard encodes what fires in one shard: stored at every change. An empty result means there is nothing to store.
func (e *Evaluator) FiringShard(shard int) []byte {
	e.mu.RLock()
	defer e.mu.RUnlock()
	s := &e.shards[shard]
	s.mu.Lock()
	alerts := make([]*alertState, 0, len(s.firing))
	for a := range s.firing {
		alerts = append(alerts, a)
	}
	s.mu.Unlock()
	var stored []storedAlert
	for _, a := range alerts {
		m := a.rule.metric
		m.mu.Lock()
		out := storedAlert{Said: a.stored(), Key: a.rule.key}
		out.Said = finiteNumbers(out.Said)
		for _, l := range a.lives {
			out.Series = append(out.Series, l.stored())
		}
		stored = append(stored, out)
		m.mu.Unlock()
	}
	return encode(stored)
}

// QuietShards encodes the rest of n shards, from first on (pending and tracked series): stored by snapshot. Every series
// is looked at for that, however few the shards are.
func (e *Evaluator) QuietShards(first, n int) [][]byte {
	stored := make([][]storedSeries, n)
	e.mu.RLock()
	e.all(func(m *metricState) { m.quietSeries(stored, first) })
	e.mu.RUnlock()
	parts := make([][]byte, n)
	for i := range stored {
		slices.SortFunc(stored[i], storedSeries.compare) // so that what has not changed reads the same
		parts[i] = encode(stored[i])
	}
	return parts
}

// quietSeries adds what has to be stored of the metric's series that do not fire to the shards from first on.
func (m *metricState) quietSeries(stored [][]storedSeries, first int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for hash, st := range m.streams {
		i := int(hash>>56) - first
		if i < 0 || i >= len(stored) {
			continue
		}
		for slot := range st.series {
			s := &st.series[slot]
			if !s.seen() || s.live != nil && s.live.state() == alert.Firing {
				continue
			}
			l := s.live
			if l == nil {
				l = &live{machine: newMachine(), stream: st, rule: m.rules[slot]}
			}
			stored[i] = append(stored[i], l.stored())
		}
	}
}

// finiteNumbers drops what JSON cannot carry.
func finiteNumbers(a alert.Alert) alert.Alert {
	a.Value, a.Threshold, a.FiringLevel = finite(a.Value), finite(a.Threshold), finite(a.FiringLevel)
	a.FiringLevelBound = a.FiringLevelBound && a.FiringLevel != nil
	a.FiringLevels = maps.Clone(a.FiringLevels)
	maps.DeleteFunc(a.FiringLevels, func(_ alert.Severity, l alert.FiringLevel) bool { return finite(&l.Value) == nil })
	return a
}

// finite drops a value that JSON cannot carry; the series' own copy keeps its bits.
func finite(v *float64) *float64 {
	if v == nil || math.IsInf(*v, 0) || math.IsNaN(*v) {
		return nil
	}
	return v
}

// stored is what is kept of the last thing said: of an end all of it, otherwise what the alert was known by. Its texts
// are made anew.
func (a *alertState) stored() alert.Alert {
	if a.final != nil {
		return *a.final
	}
	return alert.Alert{
		ID: a.id, Group: a.rule.rule.Group, Rule: a.rule.rule.Name, Severity: a.said.severity, Owner: a.said.owner,
		Labels: a.said.labels.unpack(), State: a.state, Start: timeOf(a.said.start), Time: timeOf(a.said.at),
	}
}

func encode[T any](stored []T) []byte {
	if len(stored) == 0 {
		return nil
	}
	out, err := json.Marshal(stored)
	if err != nil {
		panic(fmt.Sprintf("state cannot be encoded: %v", err)) // plain data without infinities always can
	}
	return out
}

func (l *live) stored() storedSeries {
	s, r := l.series(), l.rule.rule
	out := storedSeries{
		Group: r.Group, Rule: r.Name, Key: l.rule.key, Stream: l.stream.hash, Labels: l.stream.labels.unpack(),
		Last: s.last, Trusted: s.trusted, Eff: s.eff, Interval: s.interval, First: s.first, Value: math.Float64bits(s.value),
		Cleared: l.cleared, Start: l.start, Firing: l.firing, NoData: l.noData,
		Levels: l.levels.stored(r.Tiers), Triggers: l.triggers.stored(),
	}
	for i := range r.Tiers {
		if since := l.since[i]; since != 0 {
			if out.Since == nil {
				out.Since = map[alert.Severity]int64{}
			}
			out.Since[r.Tiers[i].Severity] = since
		}
		if l.isActive(i) {
			out.Active = append(out.Active, r.Tiers[i].Severity)
		}
		if int(l.kept) == i {
			out.Kept = r.Tiers[i].Severity
		}
	}
	return out
}

// Restore loads what FiringShard and QuietShards stored, before the first Judge; nil parts are missing. loaded says that
// a stored state was found, even an empty one. now is the present start, asOf when the last snapshot was taken: the
// time between does not count towards `for`. Parts that cannot be read are reported and passed over.
func (e *Evaluator) Restore(firing, quiet [][]byte, loaded bool, asOf, now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if loaded {
		e.announce.until = 0
	}
	down := int64(0)
	if !asOf.IsZero() {
		down = max(int64(now.Sub(asOf)), 0)
	}
	rules := newRuleIndex(e.rules)
	var errs []error
	for i, part := range quiet {
		var stored []storedSeries
		if err := decode(part, &stored); err != nil {
			errs = append(errs, fmt.Errorf("quiet state, shard %d: %w", i, err))
			continue
		}
		for j := range stored {
			if r := rules.find(stored[j].Key, stored[j].Group, stored[j].Rule); r != nil {
				e.restore(r, &stored[j], down, now)
			}
		}
	}
	for i, part := range firing {
		var stored []storedAlert
		if err := decode(part, &stored); err != nil {
			errs = append(errs, fmt.Errorf("firing state, shard %d: %w", i, err))
			continue
		}
		for j := range stored {
			e.restoreAlert(rules, &stored[j], down, now)
		}
	}
	return errors.Join(errs...)
}

// ruleIndex finds the rule that a stored state belongs to.
type ruleIndex struct {
	keys  map[string]*ruleState
	names map[[2]string]*ruleState
}

func newRuleIndex(rules []*ruleState) ruleIndex {
	x := ruleIndex{keys: map[string]*ruleState{}, names: map[[2]string]*ruleState{}}
	for _, r := range rules {
		x.keys[r.key] = r
		if name := [2]string{r.rule.Group, r.rule.Name}; x.names[name] == nil {
			x.names[name] = r
		}
	}
	return x
}

// find goes by the key, and where there is none (what was stored before there were keys) by group and name.
func (x ruleIndex) find(key, group, name string) *ruleState {
	if key != "" {
		return x.keys[key]
	}
	return x.names[[2]string{group, name}]
}

func decode(part []byte, into any) error {
	if len(part) == 0 {
		return nil
	}
	return json.Unmarshal(part, into)
}

// restoreAlert brings back one alert. A firing one whose rule is gone ends as rule_removed; the end of one that had ended
// is repeated.
func (e *Evaluator) restoreAlert(rules ruleIndex, stored *storedAlert, down int64, now time.Time) {
	said := &stored.Said
	var a *alertState
	for i := range stored.Series {
		s := &stored.Series[i]
		if r := rules.find(s.Key, s.Group, s.Rule); r != nil {
			if l := e.restore(r, s, down, now); l != nil {
				a = l.alert
			}
		}
	}
	if a != nil && a.id == said.ID {
		a.said = hear(said) // what differs now ends the series under which it was known, and times go on rising
		return
	}
	r := rules.find(stored.Key, said.Group, said.Rule)
	if r == nil || said.State != alert.Inactive {
		r = &ruleState{
			rule:   &rule.Rule{Group: said.Group, Name: said.Rule, Owner: said.Owner},
			metric: newMetricState(e.elapsed(now)),
			alerts: map[string]*alertState{},
		}
		e.retired = append(e.retired, r)
	}
	if known := r.alerts[said.ID]; known != nil { // the snapshot has it pending again
		known.said.at = hear(said).at
		return
	}
	a = &alertState{id: said.ID, rule: r, state: said.State, severity: said.Severity, said: hear(said), final: said}
	r.alerts[a.id] = a
	e.shardOf(a.id).keep(a)
	if a.state == alert.Inactive {
		a.ended = e.elapsed(now)
		a.emitted = a.ended - int64(e.opts.ResendInterval)
		return
	}
	said.State, said.Reason = alert.Inactive, alert.ReasonRuleRemoved
	e.refresh(a, said, now)
}

// restore brings back one series; it returns nil where it is quiet.
func (e *Evaluator) restore(r *ruleState, stored *storedSeries, down int64, now time.Time) *live {
	m := r.metric
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.streams[stored.Stream]
	if st == nil {
		st = m.enter(stored.Stream, pack(maps.Clone(stored.Labels)))
	}
	s := &st.series[r.slot]
	if !s.seen() {
		r.series++
		e.series.Add(1)
	}
	if s.live != nil { // the snapshot's word is older than what is stored at every change
		a := s.live.alert
		m.detach(s.live)
		e.forget(a)
	}
	s.timing = timing{
		last: stored.Last, trusted: stored.Trusted, eff: stored.Eff + down, interval: stored.Interval,
		first: stored.First, arrived: e.elapsed(now),
	}
	s.value = math.Float64frombits(stored.Value)
	l := &live{machine: newMachine(), stream: st, rule: r, noData: stored.NoData && r.rule.NoData.Action == rule.NoDataRaise}
	l.firing, l.cleared, l.start = stored.Firing, stored.Cleared, stored.Start
	active := map[alert.Severity]bool{}
	for _, severity := range stored.Active {
		active[severity] = true
	}
	for i := range r.rule.Tiers {
		severity := r.rule.Tiers[i].Severity
		if since := stored.Since[severity]; since != 0 {
			l.since[i] = since + down
		}
		if active[severity] {
			l.active |= 1 << i
		}
		if stored.Kept == severity {
			l.kept = int8(i)
		}
	}
	if l.firing && l.active == 0 && l.kept == noTier {
		l.active = 1 // its tier is gone: it fires on until its next point is judged
	}
	if l.state() == alert.Inactive {
		return nil
	}
	l.restored = true
	l.levels = restoreLevels(r.rule.Tiers, stored.Levels, down)
	l.triggers = restoreTriggers(r.rule, stored.Triggers, down)
	s.live = l
	a := e.attach(l)
	e.restored(a, now)
	return l
}

// restored brings an alert's record in line without saying anything: the next Tick repeats it.
func (e *Evaluator) restored(a *alertState, now time.Time) {
	l := a.worst()
	a.state, a.severity, a.noData, a.actions = l.state(), l.severity(), l.noData, a.wanted()
	before := a.said.at
	out := e.describe(a, now)
	a.said = hear(&out)
	a.said.at = before
	a.emitted = e.elapsed(now) - int64(e.opts.ResendInterval)
	if a.state == alert.Firing {
		e.shardOf(a.id).keep(a)
	}
}
