package calibrationreceiver

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadata"
)

// collector emits the calibration metrics at the start and every interval.
type collector struct {
	ledger   ledger.Ledger
	next     consumer.Metrics
	obs      *obsreport
	health   *health
	interval time.Duration
	window   time.Duration
	// assessor concludes about thresholds; the page has the same.
	assessor *quality.Assessor
	// admission bounds what is told apart; overflowing says that some is told together.
	admission   admission
	overflowing bool
}

// readTimeout bounds the time that one reading of the ledger takes.
const readTimeout = 30 * time.Second

func (m *collector) run(ctx context.Context) {
	ticker := time.NewTicker(m.interval)
	defer ticker.Stop()
	for {
		if m.ledger.Standing().Leads { // of several on one ledger, one emits
			m.collect(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// collect emits once. What cannot be read or handed on is left out: the next collection carries the same sums.
func (m *collector) collect(ctx context.Context) {
	began := time.Now()
	s, err := m.read(ctx, began)
	if ctx.Err() != nil {
		return
	}
	m.obs.took(time.Since(began))
	m.health.set("Reading the alert ledger", err)
	if err != nil {
		m.obs.collected(ledgerFailed)
		return
	}
	m.tell(s.over)
	md := s.metrics()
	points := md.DataPointCount()
	if points == 0 {
		m.obs.collected(exported)
		return
	}
	op := m.obs.standard.StartMetricsOp(ctx)
	err = m.next.ConsumeMetrics(op, md)
	m.obs.standard.EndMetricsOp(op, metadata.Type.String(), points, err)
	if err != nil {
		m.obs.collected(refused)
		return
	}
	m.obs.collected(exported)
}

// tell says when series begin to be told together, and when none are any more.
func (m *collector) tell(over int) {
	m.obs.overflowing(over)
	if (over > 0) == m.overflowing {
		return
	}
	m.overflowing = over > 0
	if m.overflowing {
		m.health.logger.Warn("There are more rules, owners and source metrics than limits.series tells apart; the rest is told together, as "+alert.AttrOverflow,
			zap.Int("limit", m.admission.limit), zap.Int("together", over))
	} else {
		m.health.logger.Info("All series are told apart again")
	}
}

// snapshot is what the ledger held at one moment.
type snapshot struct {
	now, since time.Time
	counters   []ledger.Counter
	histograms []ledger.Histogram
	assessed   []assessed
	unassessed []recall
	budgets    []usage
	// all tallies every episode that is kept, recent those opened within the window.
	all, recent []ledger.Tally
	// rest is what is not told apart, nil where all is; it counts from restSince. over is how many series it is of.
	rest      *rest
	restSince time.Time
	over      int
}

// assessed is what is concluded about one threshold of a rule.
type assessed struct {
	rule string
	*calibrate.Assessment
}

// recall is how many incidents a rule has caught and missed of which no threshold is known.
type recall struct {
	series
	caught, missed int64
}

// usage is how much of an owner's alert budget is used.
type usage struct {
	owner string
	used  float64
}

func (m *collector) read(ctx context.Context, now time.Time) (s snapshot, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = m.ledger.View(ctx, now, func(tx ledger.Tx) (err error) {
		s.now = tx.Now()
		if s.since, err = tx.CountersSince(); err != nil {
			return err
		}
		if s.counters, err = tx.Counters(); err != nil {
			return err
		}
		if s.histograms, err = tx.Histograms(); err != nil {
			return err
		}
		if s.all, err = tx.Tallies(time.Time{}); err != nil {
			return err
		}
		if s.recent, err = tx.Tallies(s.now.Add(-m.window)); err != nil {
			return err
		}
		s.over = m.admission.bound(&s)
		if err = m.assess(tx, &s); err != nil {
			return err
		}
		s.budgets, err = budgets(tx)
		return err
	})
	return s, err
}

// assess concludes about every rule that is told apart: of the window, and those that people say have missed an incident.
func (m *collector) assess(tx ledger.Tx, s *snapshot) error {
	misses, err := tx.Misses("", s.now.Add(-m.window))
	if err != nil {
		return err
	}
	missed := map[string]*recall{}
	for _, miss := range misses {
		r := missed[miss.Rule]
		if r == nil { // which may never have fired: then its name is all that is known of it
			r = &recall{series: series{rule: miss.Rule, of: ofRule}}
			missed[miss.Rule] = r
		}
		r.missed++
	}
	apart := map[string]bool{}
	for i := range s.recent {
		t := &s.recent[i]
		apart[t.Rule] = true
		if r := missed[t.Rule]; r != nil {
			r.caught += t.Verdicts[ledger.TruePositive]
		}
	}
	for i := range s.all {
		if r := missed[s.all[i].Rule]; r != nil && s.all[i].Severity >= r.severity {
			r.series = tallySeries(&s.all[i])
		}
	}
	rules, err := m.assessor.Rules(tx)
	if err != nil {
		return err
	}
	for _, r := range rules {
		// What is told together has no recall of its own, what is not concluded about yet none for now.
		if !apart[r.Rule] || r.At.IsZero() || len(r.Thresholds) > 0 {
			delete(missed, r.Rule)
		}
		if !apart[r.Rule] {
			continue
		}
		for _, t := range r.Thresholds {
			s.assessed = append(s.assessed, assessed{r.Rule, t.Assessment})
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(missed)) {
		if len(s.unassessed) == m.admission.limit {
			break
		}
		s.unassessed = append(s.unassessed, *missed[rule])
	}
	return nil
}

// budgets compares what owners were paged with what they have agreed to.
func budgets(tx ledger.Tx) (all []usage, err error) {
	loads, err := quality.Loads(tx)
	for _, l := range loads {
		all = append(all, usage{l.Owner, l.Used()})
	}
	return all, err
}
