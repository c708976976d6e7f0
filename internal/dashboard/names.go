package dashboard

import (
	"fmt"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/translate"
)

// names are what Prometheus calls what this project emits, and what rules check.
type names struct {
	translate.Names
	metrics, labels map[string]string
}

var attributes = [...]string{
	alert.AttrRule, alert.AttrGroup, alert.AttrSeverity, alert.AttrOwner, alert.AttrSourceMetric,
	alert.AttrThresholdBound, alert.AttrOutcome, alert.AttrVerdict,
}

var kinds = map[alert.MetricKind]otlptranslator.MetricType{
	alert.Gauge:        otlptranslator.MetricTypeGauge,
	alert.Sum:          otlptranslator.MetricTypeMonotonicCounter,
	alert.UpDownSum:    otlptranslator.MetricTypeNonMonotonicCounter,
	alert.Distribution: otlptranslator.MetricTypeExponentialHistogram,
}

func newNames(strategy string) (*names, error) {
	if err := (translate.Options{Strategy: strategy}).Validate(); err != nil {
		return nil, err
	}
	n := &names{Names: translate.NewNames(strategy), metrics: map[string]string{}, labels: map[string]string{}}
	var err error
	for name, in := range alert.Instruments {
		if n.metrics[name], err = n.Metric(name, in.Unit, kinds[in.Kind]); err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
	}
	for _, attribute := range attributes {
		if n.labels[attribute], err = n.Label(attribute); err != nil {
			return nil, fmt.Errorf("attribute %s: %w", attribute, err)
		}
	}
	return n, nil
}

// gaugeUnits are units that a metric of which only the name is known may have. Most of them end up in its name; the empty one
// stands for all that do not, such as {request}.
var gaugeUnits = [...]string{
	"", "1", "%", "s", "ms", "us", "ns", "min", "h", "d", "By", "KiBy", "MiBy", "GiBy", "TiBy", "By/s", "{token}/s", "{request}/s",
	"Cel", "W", "J", "V", "A", "Hz", "m", "g",
}

// candidates are what Prometheus may call a metric that a rule checks: a gauge, or a sum that is not monotonic, since others are
// not checked. Its unit, which may become a suffix, does not stand in the rule; where nobody knows it, these are several
// names, the shortest first.
func (n *names) candidates(metric string, unit *string) ([]string, error) {
	units := gaugeUnits[:]
	if unit != nil {
		units = []string{*unit}
	}
	var all []string
	for _, unit := range units {
		for _, kind := range []otlptranslator.MetricType{otlptranslator.MetricTypeGauge, otlptranslator.MetricTypeNonMonotonicCounter} {
			name, err := n.Metric(metric, unit, kind)
			if err != nil {
				return nil, fmt.Errorf("metric %q has no name in Prometheus: %w", metric, err)
			}
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return len(a) - len(b) })
	return all, nil
}

// validMetric and validLabel say whether a name may stand in PromQL without quotes.
func validMetric(name string) bool { return model.LegacyValidation.IsValidMetricName(name) }
func validLabel(name string) bool  { return model.LegacyValidation.IsValidLabelName(name) }
