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
	case alert.EventUnacknowledged:
		return "The acknowledgement was taken back" + by(e.By)
	case alert.EventSnoozed:
		return fmt.Sprintf("Snoozed until %s%s", e.Reason, by(e.By))
	case alert.EventResolved:
		if s, ok := endings[alert.Reason(e.Reason)]; ok {
			return s + by(e.By)
		}
		return "Ended" + by(e.By)
	case alert.EventVerdict:
		return fmt.Sprintf("Judged %s%s", verdictName(ledger.Verdict(e.Reason)), by(calibrate.Name(e.By)))
	case alert.EventThreshold:
		what := "threshold"
		if e.Receiver != "" {
			what = e.Receiver + " bound"
		}
		return fmt.Sprintf("The %s of %s was moved from %s to %s%s", what, e.Severity, e.From, e.Reason, by(calibrate.Name(e.By)))
	case alert.EventRollbackWanted:
		return "A rollback" + ofTarget(e) + " was asked for" + because(e)
	case alert.EventIntervention:
		return "Past the manual-intervention threshold: a person decides"
	case alert.EventActionApproved:
		return actionName(e) + " approved" + by(e.By)
	case alert.EventActionRejected:
		return actionName(e) + " rejected" + by(e.By)
	case alert.EventActionDone:
		return actionName(e) + " done"
	case alert.EventActionFailed:
		return actionName(e) + " failed: do it by hand"
	case alert.EventActionCancelled:
		return actionName(e) + " cancelled" + because(e)
	}
	return strings.TrimPrefix(e.Name, "alert.")
}

func ofTarget(e *ledger.Event) string {
	if e.Receiver == "" {
		return ""
	}
	return " of " + e.Receiver
}

func because(e *ledger.Event) string {
	if text, ok := reasons[e.Reason]; ok {
		return ": " + text
	}
	return ""
}

// actionName is the action that an event is about.
func actionName(e *ledger.Event) string {
	if e.From == string(alert.ActionManualIntervention) {
		return "Manual intervention"
	}
	return "Rollback" + ofTarget(e)
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
