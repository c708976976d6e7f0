package escalationexporter

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-escalation/otelcol-escalation/exporter/escalationexporter/internal/metadata"
	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// The outcomes of a delivery.
const (
	outcomeAccepted = "accepted"
	outcomeFailed   = "failed"
	outcomeRefused  = "refused"
	outcomeSettled  = "settled"
)

// obsreport is the one place that touches the exporter's self-metrics. The sets of attributes that are known are made
// once.
type obsreport struct {
	builder *metadata.TelemetryBuilder
	ignored map[verdict]metric.MeasurementOption
	kinds   map[ledger.ChangeKind]metric.MeasurementOption
}

func with(attributes ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attributes...))
}

func newObsreport(set component.TelemetrySettings) (*obsreport, error) {
	builder, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	o := &obsreport{
		builder: builder, ignored: map[verdict]metric.MeasurementOption{}, kinds: map[ledger.ChangeKind]metric.MeasurementOption{},
	}
	for _, v := range []verdict{notNewer, noEpisode, resolved} {
		o.ignored[v] = with(attribute.String("reason", string(v)))
	}
	for _, k := range []ledger.ChangeKind{
		ledger.Unchanged, ledger.Dropped, ledger.Opened, ledger.Raised, ledger.Lowered, ledger.OwnerChanged,
		ledger.DataLost, ledger.DataBack, ledger.ActionAsked, ledger.Ended, kindDiscarded,
	} {
		o.kinds[k] = with(attribute.String("kind", string(k)))
	}
	return o, nil
}

func (o *obsreport) shutdown() { o.builder.Shutdown() }

// observe has the exporter's sizes read at every collection.
func (o *obsreport) observe(x *escalation) error {
	b := o.builder
	for _, register := range []func() error{
		func() error {
			return b.RegisterExporterEscalationJournalSizeCallback(func(_ context.Context, to metric.Int64Observer) error {
				to.Observe(int64(x.journal.size()))
				return nil
			})
		},
		func() error {
			return b.RegisterExporterEscalationOpenAlertsCallback(func(_ context.Context, to metric.Int64Observer) error {
				alerts, _ := x.view.counts()
				to.Observe(int64(alerts))
				return nil
			})
		},
		func() error {
			return b.RegisterExporterEscalationOpenGroupsCallback(func(_ context.Context, to metric.Int64Observer) error {
				_, groups := x.view.counts()
				to.Observe(int64(groups))
				return nil
			})
		},
		func() error {
			return b.RegisterExporterEscalationDeliveryQueueSizeCallback(func(_ context.Context, to metric.Int64Observer) error {
				for name, d := range x.destinations {
					to.Observe(int64(d.waiting()), with(attribute.String("destination", name)))
				}
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

func (o *obsreport) rejected(p alert.Problem) {
	o.builder.ExporterEscalationPointsRejected.Add(context.Background(), 1, with(attribute.String("reason", string(p))))
}

// exploreDropped counts a judgement of a silent track that the ledger could not take.
func (o *obsreport) exploreDropped(n int) {
	o.builder.ExporterEscalationExploredDropped.Add(context.Background(), int64(n))
}

// passed counts what needed no transaction.
func (o *obsreport) passed(counts map[verdict]int) {
	for v, n := range counts {
		if v == repetition {
			o.builder.ExporterEscalationPointsRepeated.Add(context.Background(), int64(n))
			continue
		}
		o.builder.ExporterEscalationPointsIgnored.Add(context.Background(), int64(n), o.ignored[v])
	}
}

func (o *obsreport) recorded(changes []change) {
	counts := map[ledger.ChangeKind]int64{}
	for i := range changes {
		counts[changes[i].kind]++
	}
	for kind, n := range counts {
		o.builder.ExporterEscalationTransitions.Add(context.Background(), n, o.kinds[kind])
	}
}

func (o *obsreport) expired(losses []loss) {
	var lost, gone int64
	for _, l := range losses {
		if l.gone {
			gone++
		} else {
			lost++
		}
	}
	o.builder.ExporterEscalationTransitions.Add(context.Background(), lost, o.kinds[ledger.DataLost])
	o.builder.ExporterEscalationTransitions.Add(context.Background(), gone, o.kinds[ledger.Ended])
}

func (o *obsreport) refused(n int) {
	o.builder.ExporterEscalationJournalRefused.Add(context.Background(), int64(n))
}

func (o *obsreport) ledgerFailed() {
	o.builder.ExporterEscalationLedgerFailures.Add(context.Background(), 1)
}

func (o *obsreport) journalFailed() {
	o.builder.ExporterEscalationJournalFailures.Add(context.Background(), 1)
}

func (o *obsreport) decided(done *applied) {
	for _, order := range done.orders {
		o.builder.ExporterEscalationOrders.Add(context.Background(), 1,
			with(attribute.String("kind", string(order.Kind)), attribute.String("reason", string(order.Reason))))
	}
	for _, lag := range done.lags {
		o.builder.ExporterEscalationLag.Record(context.Background(), lag.Seconds())
	}
}

func (o *obsreport) settled(destination string) {
	o.builder.ExporterEscalationDeliveries.Add(context.Background(), 1,
		with(attribute.String("destination", destination), attribute.String("outcome", outcomeSettled)))
}

func (o *obsreport) delivered(destination, outcome string, took time.Duration) {
	attributes := with(attribute.String("destination", destination), attribute.String("outcome", outcome))
	o.builder.ExporterEscalationDeliveries.Add(context.Background(), 1, attributes)
	o.builder.ExporterEscalationDeliveryDuration.Record(context.Background(), took.Seconds(), attributes)
}
