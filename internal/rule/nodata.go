package rule

import (
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

var noDataKeys = []string{"after", "tier", "hold_for"}

// noData reads what the rule concludes when its data stop: `hold`, `resolve`, or a mapping with hold_for, or after and
// tier.
func (d *decoder) noData(m mapping) NoData {
	n := NoData{Action: NoDataHold, HoldFor: d.defaults.HoldFor}
	f, ok := m.lookup("no_data")
	if !ok {
		return n
	}
	if f.node.Kind == yaml.ScalarNode {
		switch f.node.Value {
		case "hold":
		case "resolve":
			n.Action = NoDataResolve
		default:
			f.errorf("must be hold, resolve, {hold_for: 2h} or {after: 5m, tier: high} (got %s)", f.got())
		}
		return n
	}
	parts := f.mapping(noDataKeys, nil)
	if f.node.Kind != yaml.MappingNode {
		return n
	}
	if len(parts.all) == 0 {
		f.errorf("must have hold_for, or after and tier")
		return n
	}
	after, hasAfter := parts.lookup("after")
	tier, hasTier := parts.lookup("tier")
	if parts.unknown {
		return n
	}
	if hasAfter != hasTier {
		f.errorf("after and tier belong together, such as {after: 5m, tier: high}")
		return n
	}
	if hold, ok := parts.lookup("hold_for"); ok {
		n.HoldFor = hold.positive()
	}
	if hasAfter {
		n.Action = NoDataRaise
		n.After = after.positive()
		n.Tier = severityOf(tier)
	}
	if hold, ok := parts.lookup("hold_for"); ok && hasAfter && n.After > 0 && n.HoldFor > 0 && n.HoldFor <= n.After {
		hold.errorf("must be longer than after, or the alert ends before it is raised (after is %s, got %s)",
			duration(n.After), hold.node.Value)
	}
	return n
}

func severityOf(f field) alert.Severity {
	name, ok := f.name()
	if !ok {
		return alert.NoSeverity
	}
	s, err := alert.ParseSeverity(name)
	if err != nil {
		f.errorf("%v", err)
	}
	return s
}

// duration writes a duration as rule files do.
func duration(d time.Duration) string { return model.Duration(d).String() }
