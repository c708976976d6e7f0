package calibrationreceiver

import (
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/web"
)

// logs are alert events in OTLP: one record each, in order.
func logs(happenings []happening, now time.Time) plog.Logs {
	ld := plog.NewLogs()
	scope := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty()
	scope.Scope().SetName(alert.Scope)
	scope.LogRecords().EnsureCapacity(len(happenings))
	for _, h := range happenings {
		record := scope.LogRecords().AppendEmpty()
		record.SetTimestamp(stamp(h.At))
		record.SetObservedTimestamp(stamp(now))
		record.SetEventName(h.Name)
		severity := severityOf(h.Event)
		record.SetSeverityNumber(severity)
		record.SetSeverityText(severity.String())
		record.Body().SetStr(bounded(h.Rule+": "+web.Sentence(h.Event), longestNote))
		putEvent(record.Attributes(), h)
	}
	return ld
}

func putEvent(attrs pcommon.Map, h happening) {
	attrs.EnsureCapacity(14)
	put := func(name, value string) {
		if value != "" {
			attrs.PutStr(name, text(value))
		}
	}
	put(alert.AttrEpisodeID, h.EpisodeID)
	put(alert.AttrID, h.alertID)
	put(alert.AttrGroup, h.ruleGroup)
	put(alert.AttrRule, h.Rule)
	put(alert.AttrSeverity, h.Severity.String())
	put(alert.AttrOwner, h.Owner)
	put(alert.AttrSourceMetric, h.sourceMetric)
	put(alert.AttrFrom, h.From)
	if h.Note != "" {
		attrs.PutStr(alert.AttrNote, bounded(h.Note, longestNote))
	}
	if h.Name == alert.EventThreshold {
		if to, err := strconv.ParseFloat(h.Reason, 64); err == nil {
			attrs.PutDouble(alert.AttrThreshold, to)
		}
		put(alert.AttrThresholdBound, h.Receiver)
		put(alert.AttrBy, calibrate.Name(h.By))
		return
	}
	put(alert.AttrReceiver, h.Receiver)
	if h.Step > 0 {
		attrs.PutInt(alert.AttrStep, int64(h.Step))
	}
	if h.Name == alert.EventVerdict {
		put(alert.AttrVerdict, h.Reason)
		put(alert.AttrBy, calibrate.Name(h.By))
		return
	}
	put(alert.AttrReason, h.Reason)
	put(alert.AttrBy, h.By)
}

// severityOf says how much an event wants to be seen. What people do, what goes well and what ends is information; what
// asks for somebody is as severe as its tier; that nobody could be told is an error whatever the tier.
func severityOf(e *ledger.Event) plog.SeverityNumber {
	switch e.Name {
	case alert.EventPageFailed, alert.EventActionFailed:
		return plog.SeverityNumberError
	case alert.EventFired, alert.EventEscalated, alert.EventAckExpired, alert.EventUnacknowledged, alert.EventRollbackWanted, alert.EventIntervention:
		return severityOfTier(e.Severity)
	case alert.EventSeverity:
		if from, err := alert.ParseSeverity(e.From); err == nil && from > e.Severity {
			return plog.SeverityNumberInfo
		}
		return severityOfTier(e.Severity)
	case alert.EventNoData:
		if e.Reason == string(alert.ReasonNoData) {
			return severityOfTier(e.Severity)
		}
	}
	return plog.SeverityNumberInfo
}

func severityOfTier(s alert.Severity) plog.SeverityNumber {
	switch s {
	case alert.Critical:
		return plog.SeverityNumberError2
	case alert.High:
		return plog.SeverityNumberError
	case alert.Medium:
		return plog.SeverityNumberWarn
	default:
		return plog.SeverityNumberInfo2
	}
}
