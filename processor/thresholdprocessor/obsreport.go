package thresholdprocessor

import (
	"context"

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

func (t *telemetry) dropped(n int) {
	t.builder.ProcessorThresholdOutboxDropped.Add(context.Background(), int64(n))
}

func (t *telemetry) storageFailed() {
	t.builder.ProcessorThresholdStorageFailures.Add(context.Background(), 1)
}

func (t *telemetry) reloaded(accepted bool) {
	result := "refused"
	if accepted {
		result = "accepted"
	}
	t.builder.ProcessorThresholdReloads.Add(context.Background(), 1, metric.WithAttributes(attribute.String("result", result)))
}

// observe has the evaluator's counts read at every collection.
func (t *telemetry) observe(e *evaluate.Evaluator, out *outbox) error {
	ruleAttr := func(rule string, more ...attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributes(append(more, attribute.String("rule", rule))...)
	}
	state := func(s alert.State) attribute.KeyValue { return attribute.String("state", s.String()) }
	for _, register := range []func() error{
		func() error {
			return t.builder.RegisterProcessorThresholdAlertsCallback(func(_ context.Context, o metric.Int64Observer) error {
				for _, r := range e.Statistics().Rules {
					o.Observe(int64(r.Pending), ruleAttr(r.Rule, state(alert.Pending)))
					o.Observe(int64(r.Firing), ruleAttr(r.Rule, state(alert.Firing)))
				}
				return nil
			})
		},
		func() error {
			return t.builder.RegisterProcessorThresholdTransitionsCallback(func(_ context.Context, o metric.Int64Observer) error {
				for _, r := range e.Statistics().Rules {
					for s, n := range r.Transitions {
						o.Observe(n, ruleAttr(r.Rule, state(s)))
					}
				}
				return nil
			})
		},
		func() error {
			return t.builder.RegisterProcessorThresholdPointsUnjudgedCallback(func(_ context.Context, o metric.Int64Observer) error {
				for _, u := range e.Statistics().Unjudged {
					o.Observe(u.Count, ruleAttr(u.Rule, attribute.String("reason", string(u.Reason))))
				}
				return nil
			})
		},
		func() error {
			return t.builder.RegisterProcessorThresholdProblemsCallback(func(_ context.Context, o metric.Int64Observer) error {
				for _, p := range e.LastProblems() {
					o.Observe(1, ruleAttr(p.Rule, attribute.String("kind", string(p.Kind))))
				}
				return nil
			})
		},
		func() error {
			return t.builder.RegisterProcessorThresholdPointsJudgedCallback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(e.Statistics().Judged)
				return nil
			})
		},
		func() error {
			return t.builder.RegisterProcessorThresholdPointsTaggedCallback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(e.Statistics().Tagged)
				return nil
			})
		},
		func() error {
			return t.builder.RegisterProcessorThresholdSeriesCallback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(e.Statistics().Series)
				return nil
			})
		},
		func() error {
			return t.builder.RegisterProcessorThresholdOutboxPointsCallback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(int64(out.size()))
				return nil
			})
		},
	} {
		if err := register(); err != nil {
			return err
		}
	}
	return nil
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
