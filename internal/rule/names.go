package rule

import (
	"strings"

	"github.com/prometheus/common/model"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// reservedLabel reports whether a label's value comes from elsewhere, so that a rule's own would be lost or would forge
// an alert's identity.
func reservedLabel(name string) bool {
	switch name {
	case model.MetricNameLabel, alert.LabelName, alert.LabelAlertID, alert.LabelEpisodeID:
		return true
	}
	return strings.HasPrefix(name, "alert.")
}
