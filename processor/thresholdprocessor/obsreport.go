package thresholdprocessor

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
	"github.com/otelcol-escalation/otelcol-escalation/processor/thresholdprocessor/internal/metadata"
)

// telemetry is the one place that touches the processor's self-metrics.
type telemetry struct {
	builder *metadata.TelemetryBuilder
	// standing are the problems that have been logged. Of the ticking goroutine.
	standing map[evaluate.Problem]bool
}

func newTelemetry(set component.TelemetrySettings) (*telemetry, error) {
	builder, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	return &telemetry{builder: builder, standing: map[evaluate.Problem]bool{}}, nil
}

func (t *telemetry) shutdown() { t.builder.Shutdown() }

func (t *telemetry) dropped(reason string, n int) {
	if n > 0 {
		t.builder.ProcessorThresholdOutboxDropped.Add(context.Background(), int64(n), with(attribute.String("reason", reason)))
	}
}

func (t *telemetry) recordedDropped(reason string, n int) {
	if n > 0 {
		t.builder.ProcessorThresholdRecordedDropped.Add(context.Background(), int64(n), with(attribute.String("reason", reason)))
	}
}

func (t *telemetry) storageFailed() {
	t.builder.ProcessorThresholdStorageFailures.Add(context.Background(), 1)
}

// What becomes of a changed rule file.
const (
	reloadAccepted = "accepted"
	reloadRefused  = "refused"
	reloadRemoved  = "removed"
)

func (t *telemetry) reloaded(result string) {
	t.builder.ProcessorThresholdReloads.Add(context.Background(), 1, with(attribute.String("result", result)))
}

func with(attributes ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attributes...))
}

// observe has the evaluator's counts read at every collection.
func (t *telemetry) observe(e *evaluate.Evaluator, out *outbox) error {
	b := t.builder
	return errors.Join(
		b.RegisterProcessorThresholdAlertsCallback(summed(func(add adder) {
			for _, r := range e.Statistics().Rules {
				add(int64(r.Pending), ruleAttributes(r.Group, r.Rule, "state", alert.Pending.String()))
				add(int64(r.Firing), ruleAttributes(r.Group, r.Rule, "state", alert.Firing.String()))
			}
		})),
		b.RegisterProcessorThresholdTransitionsCallback(summed(func(add adder) {
			for _, r := range e.Statistics().Rules {
				for state, n := range r.Transitions {
					add(n, ruleAttributes(r.Group, r.Rule, "state", state.String()))
				}
			}
		})),
		b.RegisterProcessorThresholdPointsUnjudgedCallback(summed(func(add adder) {
			for _, u := range e.Statistics().Unjudged {
				add(u.Count, ruleAttributes(u.Group, u.Rule, "reason", string(u.Reason)))
			}
		})),
		b.RegisterProcessorThresholdEvaluationsCallback(groups(e, func(g evaluate.GroupStatistics) int64 { return g.Evaluations })),
		b.RegisterProcessorThresholdEvaluationFailuresCallback(groups(e, func(g evaluate.GroupStatistics) int64 { return g.Failures })),
		b.RegisterProcessorThresholdEvaluationsMissedCallback(groups(e, func(g evaluate.GroupStatistics) int64 { return g.Missed })),
		b.RegisterProcessorThresholdEvaluationDurationCallback(func(_ context.Context, o metric.Float64Observer) error {
			longest := map[string]time.Duration{} // two files may have groups of one name
			for _, g := range e.Statistics().Groups {
				longest[g.Group] = max(longest[g.Group], g.Took)
			}
			for group, took := range longest {
				o.Observe(took.Seconds(), metric.WithAttributeSet(groupAttributes(group)))
			}
			return nil
		}),
		b.RegisterProcessorThresholdWindowSeriesCallback(single(func() int64 { return int64(e.Window().Statistics().Series) })),
		b.RegisterProcessorThresholdWindowBytesCallback(single(func() int64 { return e.Window().Statistics().Bytes })),
		b.RegisterProcessorThresholdWindowDroppedCallback(summed(func(add adder) {
			for reason, n := range e.Window().Statistics().Dropped {
				add(n, attribute.NewSet(attribute.String("reason", string(reason))))
			}
			for reason, n := range e.Statistics().Untranslated {
				add(n, attribute.NewSet(attribute.String("reason", string(reason))))
			}
		})),
		b.RegisterProcessorThresholdProblemsCallback(summed(func(add adder) {
			for _, p := range e.LastProblems() {
				add(1, ruleAttributes(p.Group, p.Rule, "kind", string(p.Kind)))
			}
		})),
		b.RegisterProcessorThresholdPointsJudgedCallback(single(func() int64 { return e.Statistics().Judged })),
		b.RegisterProcessorThresholdPointsTaggedCallback(single(func() int64 { return e.Statistics().Tagged })),
		b.RegisterProcessorThresholdSeriesCallback(single(func() int64 { return e.Statistics().Series })),
		b.RegisterProcessorThresholdOutboxPointsCallback(single(func() int64 { return int64(out.size()) })),
	)
}

func single(value func() int64) metric.Int64Callback {
	return func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(value())
		return nil
	}
}

// groups observes a count of every group; groups of one name in several files count as one.
func groups(e *evaluate.Evaluator, count func(g evaluate.GroupStatistics) int64) metric.Int64Callback {
	return summed(func(add adder) {
		for _, g := range e.Statistics().Groups {
			add(count(g), groupAttributes(g.Group))
		}
	})
}

func groupAttributes(group string) attribute.Set {
	return attribute.NewSet(attribute.String("group", group))
}

// adder takes one number under some attributes.
type adder func(n int64, under attribute.Set)

// summed observes the sum of what has the same attributes: rules of one name that differ in labels count as one, where
// the last would otherwise hide the others.
func summed(collect func(add adder)) metric.Int64Callback {
	return func(_ context.Context, o metric.Int64Observer) error {
		sums := map[attribute.Set]int64{}
		collect(func(n int64, under attribute.Set) { sums[under] += n })
		for under, n := range sums {
			o.Observe(n, metric.WithAttributeSet(under))
		}
		return nil
	}
}

func ruleAttributes(group, rule, name, value string) attribute.Set {
	return attribute.NewSet(attribute.String("group", group), attribute.String("rule", rule), attribute.String(name, value))
}

// problems logs what has changed about the rules' problems, once each.
func (t *telemetry) problems(logger *zap.Logger, now []evaluate.Problem) {
	stand := map[evaluate.Problem]bool{}
	for _, p := range now {
		key := evaluate.Problem{Group: p.Group, Rule: p.Rule, Kind: p.Kind} // the detail holds a duration
		stand[key] = true
		if !t.standing[key] {
			logger.Warn("A rule cannot work as it stands.",
				zap.String("group", p.Group), zap.String("rule", p.Rule), zap.String("problem", string(p.Kind)), zap.String("detail", p.Detail))
		}
	}
	for p := range t.standing {
		if !stand[p] {
			logger.Info("A rule's problem is over.", zap.String("group", p.Group), zap.String("rule", p.Rule), zap.String("problem", string(p.Kind)))
		}
	}
	t.standing = stand
}
