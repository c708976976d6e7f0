package alert

import (
	"fmt"
	"strings"
)

// Severity is a tier of escalation. The order is that of urgency: Low < Medium < High < Critical.
// The zero value means "no tier".
type Severity uint8

// The tiers.
const (
	NoSeverity Severity = iota
	Low
	Medium
	High
	Critical
)

// Severities lists the tiers, most urgent first.
var Severities = [...]Severity{Critical, High, Medium, Low}

var severityNames = [...]string{"", "low", "medium", "high", "critical"}

// String returns the tier's name on the wire and in configuration, "" for NoSeverity.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return fmt.Sprintf("Severity(%d)", uint8(s))
}

// ParseSeverity reads a tier's own name. It does not map Prometheus' severity labels: see DefaultSeverityLabels.
func ParseSeverity(name string) (Severity, error) {
	for _, s := range Severities {
		if name == s.String() {
			return s, nil
		}
	}
	return NoSeverity, fmt.Errorf("must be one of critical, high, medium, low (got %q)", name)
}

// MarshalText writes the tier's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the tier's name; empty is NoSeverity.
func (s *Severity) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = NoSeverity
		return nil
	}
	parsed, err := ParseSeverity(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// DefaultSeverityLabels maps what people write in a plain rule's `severity` label on the tiers.
// The keys are lower-case. Configuration (`severity_labels`) adds to it.
func DefaultSeverityLabels() map[string]Severity {
	return map[string]Severity{
		"critical": Critical, "page": Critical, "p1": Critical,
		"high": High, "error": High, "major": High,
		"medium": Medium, "warning": Medium,
		"low": Low, "info": Low, "none": Low,
	}
}
