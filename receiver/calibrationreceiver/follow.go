package calibrationreceiver

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/web"
)

// cursorName is where the ledger keeps how far the events have been exported.
const cursorName = "calibration.logs"

const (
	eventBatch = 500
	retryMin   = time.Second
	retryMax   = time.Minute
)

// follow exports the ledger's events in order, at least once: the cursor moves after the next consumer has accepted.
func (c *calibration) follow(ctx context.Context) {
	wait := retryMin
	for {
		changed := c.ledger.Changed()
		more, err := c.export(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			c.set.Logger.Warn("Alert events could not be exported; they are tried again.", zap.Duration("after", wait), zap.Error(err))
			if !sleep(ctx, wait) {
				return
			}
			wait = min(2*wait, retryMax)
			continue
		case more:
			continue
		}
		wait = retryMin
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// export sends one batch of events and moves the cursor. more says that there may be others.
func (c *calibration) export(ctx context.Context) (more bool, err error) {
	var events []*ledger.Event
	if err := c.view(ctx, func(tx ledger.Tx) error {
		from, err := tx.Cursor(cursorName)
		if err != nil {
			return err
		}
		events, err = tx.EventsAfter(from, eventBatch)
		return err
	}); err != nil || len(events) == 0 {
		return false, err
	}
	if err := c.logs.ConsumeLogs(ctx, logs(events)); err != nil {
		if !consumererror.IsPermanent(err) {
			return false, err
		}
		c.set.Logger.Error("The next consumer refused alert events for good.", zap.Int("events", len(events)), zap.Error(err))
	} else {
		c.tell.exported(len(events))
	}
	last := events[len(events)-1].Seq
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), ledgerTimeout)
	defer cancel()
	err = c.ledger.Update(writing, time.Now(), func(tx ledger.Tx) error { return tx.PutCursor(cursorName, last) })
	return len(events) == eventBatch, err
}

// logs are events as OTLP: the event's name, a severity number, a sentence, and the attributes to find it by.
func logs(events []*ledger.Event) plog.Logs {
	ld := plog.NewLogs()
	scope := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty()
	scope.Scope().SetName(alert.Scope)
	for _, e := range events {
		r := scope.LogRecords().AppendEmpty()
		r.SetEventName(e.Name)
		r.SetTimestamp(pcommon.NewTimestampFromTime(e.At))
		r.SetObservedTimestamp(pcommon.NewTimestampFromTime(e.At))
		r.SetSeverityNumber(severityNumber(e))
		r.SetSeverityText(r.SeverityNumber().String())
		r.Body().SetStr(web.Sentence(e))
		attrs := r.Attributes()
		for _, a := range []struct{ name, value string }{
			{alert.AttrEpisodeID, e.EpisodeID}, {alert.AttrRule, e.Rule}, {alert.AttrSeverity, e.Severity.String()},
			{alert.AttrOwner, e.Owner}, {alert.AttrBy, e.By}, {alert.AttrReason, e.Reason},
			{"alert.receiver", e.Receiver}, {"alert.note", e.Note}, {"alert.from", e.From},
		} {
			if a.value != "" {
				attrs.PutStr(a.name, strings.ToValidUTF8(a.value, "\uFFFD"))
			}
		}
		if e.Step > 0 {
			attrs.PutInt(alert.AttrStep, int64(e.Step))
		}
	}
	return ld
}

// severityNumber is how loud an event is in a log backend: an alert by its tier, trouble with paging as an error, what
// people and time do as information.
func severityNumber(e *ledger.Event) plog.SeverityNumber {
	switch e.Name {
	case alert.EventFired, alert.EventSeverity:
		switch e.Severity {
		case alert.Critical:
			return plog.SeverityNumberFatal
		case alert.High:
			return plog.SeverityNumberError
		case alert.Medium:
			return plog.SeverityNumberWarn
		}
		return plog.SeverityNumberInfo
	case alert.EventPageFailed:
		return plog.SeverityNumberError
	case alert.EventNoData, alert.EventEscalated, alert.EventAckExpired:
		return plog.SeverityNumberWarn
	}
	return plog.SeverityNumberInfo
}
