package calibrationreceiver

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/consumer"

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

// snapshot is what the ledger held at one moment.
type snapshot struct {
	now, since time.Time
	counters   []ledger.Counter
	histograms []ledger.Histogram
	assessed   []assessed
	budgets    []usage
	// all tallies every episode that is kept, recent those opened within the window.
	all, recent []ledger.Tally
}

// assessed is what is concluded about one threshold of a rule.
type assessed struct {
	rule string
	*calibrate.Assessment
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
		if s.assessed, err = m.assess(tx); err != nil {
			return err
		}
		s.budgets, err = budgets(tx)
		return err
	})
	return s, err
}

// assess returns what is concluded about every rule of the window.
func (m *collector) assess(tx ledger.Tx) (all []assessed, err error) {
	rules, err := m.assessor.Rules(tx)
	for _, r := range rules {
		for _, t := range r.Thresholds {
			all = append(all, assessed{r.Rule, t.Assessment})
		}
	}
	return all, err
}

// budgets compares what owners were paged with what they have agreed to.
func budgets(tx ledger.Tx) (all []usage, err error) {
	loads, err := quality.Loads(tx)
	for _, l := range loads {
		all = append(all, usage{l.Owner, l.Used()})
	}
	return all, err
}
