package web

import (
	"fmt"
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// verdictNames are the verdicts as people say them.
var verdictNames = map[ledger.Verdict]string{
	ledger.TruePositive:  "real",
	ledger.FalsePositive: "false alarm",
	ledger.Expected:      "expected",
	ledger.Duplicate:     "duplicate",
}

var endings = map[alert.Reason]string{
	alert.ReasonRecovered:   "Recovered",
	alert.ReasonSeriesGone:  "Ended, because its data went away",
	alert.ReasonRuleRemoved: "Ended, because its rule was removed",
	ledger.ReasonPerson:     "Resolved",
}

// Sentence says what happened in words. It is the same on the page and in the body of a log record.
func Sentence(e *ledger.Event) string {
	switch e.Name {
	case alert.EventFired:
		s := fmt.Sprintf("Fired, %s, for %s", e.Severity, e.Owner)
		if e.Reason == string(alert.ReasonNoData) {
			s += ", because its data are missing"
		}
		return s
	case alert.EventSeverity:
		if from, err := alert.ParseSeverity(e.From); err == nil && from > e.Severity {
			return fmt.Sprintf("Fell from %s to %s", e.From, e.Severity)
		}
		return fmt.Sprintf("Rose from %s to %s", e.From, e.Severity)
	case alert.EventOwner:
		return fmt.Sprintf("Passed from %s to %s", e.From, e.Owner)
	case alert.EventNoData:
		if e.Reason == string(alert.ReasonNoData) {
			return "No data any more"
		}
		return "Data are back"
	case alert.EventPaged:
		return paged(e)
	case alert.EventPageFailed:
		return fmt.Sprintf("Could not reach %s", e.Receiver)
	case alert.EventEscalated:
		return fmt.Sprintf("Step %d: %s", e.Step, e.Receiver)
	case alert.EventAcknowledged:
		return "Acknowledged" + by(e.By)
	case alert.EventAckExpired:
		return "The acknowledgement expired"
	case alert.EventSnoozed:
		return fmt.Sprintf("Snoozed until %s%s", e.Reason, by(e.By))
	case alert.EventResolved:
		if s, ok := endings[alert.Reason(e.Reason)]; ok {
			return s + by(e.By)
		}
		return "Ended" + by(e.By)
	case alert.EventVerdict:
		return fmt.Sprintf("Judged %s%s", verdictName(ledger.Verdict(e.Reason)), by(calibrate.Name(e.By)))
	case alert.EventRollbackWanted:
		return "A rollback was asked for"
	}
	return strings.TrimPrefix(e.Name, "alert.")
}

func paged(e *ledger.Event) string {
	switch ledger.DeliveryKind(e.Reason) {
	case ledger.DeliverUpdate:
		return fmt.Sprintf("%s was told of a change", e.Receiver)
	case ledger.DeliverRepeat:
		return fmt.Sprintf("%s was paged again", e.Receiver)
	case ledger.DeliverEnd:
		return fmt.Sprintf("%s was told of the end", e.Receiver)
	case ledger.DeliverDigest:
		return fmt.Sprintf("%s got it in the daily digest", e.Receiver)
	}
	return fmt.Sprintf("%s was paged", e.Receiver)
}

func by(person string) string {
	if person == "" {
		return ""
	}
	return " by " + person
}

func verdictName(v ledger.Verdict) string {
	if name, ok := verdictNames[v]; ok {
		return name
	}
	return string(v)
}
