package calibrationreceiver

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadata"
)

const (
	// batchSize is how many events go out in one call.
	batchSize = 500
	// lookAgain is when the ledger is asked for events that nothing announced: another replica may have written them.
	lookAgain = time.Minute
	// writeTimeout bounds the time that storing the cursor takes.
	writeTimeout = 10 * time.Second

	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// exporter sends the ledger's events on as logs: in order, and each at least once, since the cursor moves only after the
// next consumer has taken them.
type exporter struct {
	ledger ledger.Ledger
	next   consumer.Logs
	obs    *obsreport
	health *health
	logger *zap.Logger
	cursor string

	// taken is the last event that the next consumer took, stored the cursor as the ledger has it: 0 until it is read.
	taken, stored int64
}

// cursorName is where the ledger keeps the position: receivers with different names each export every event.
func cursorName(id component.ID) string { return "events/" + id.String() }

func (e *exporter) run(ctx context.Context) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = firstRetry, lastRetry
	for {
		changed := e.ledger.Changed() // before reading: what is written meanwhile is not missed
		n, err := e.export(ctx)
		if ctx.Err() != nil {
			return
		}
		e.health.set("Exporting alert events", err)
		wait := lookAgain
		switch {
		case err != nil:
			changed, wait = nil, retry.NextBackOff()
		case n > 0:
			retry.Reset()
			continue
		default:
			retry.Reset()
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(wait):
		}
	}
}

// export sends the next batch and returns how many events it held.
func (e *exporter) export(ctx context.Context) (int, error) {
	if err := e.store(ctx); err != nil { // left over from the last batch
		e.obs.batch(ledgerFailed)
		return 0, err
	}
	happenings, now, err := e.read(ctx)
	if err != nil {
		e.obs.batch(ledgerFailed)
		return 0, err
	}
	if len(happenings) == 0 {
		return 0, nil
	}
	op := e.obs.standard.StartLogsOp(ctx)
	err = e.next.ConsumeLogs(op, logs(happenings, now))
	e.obs.standard.EndLogsOp(op, metadata.Type.String(), len(happenings), err)
	how := exported
	if err != nil {
		how = refused
		e.obs.batch(refused)
		if !consumererror.IsPermanent(err) {
			return 0, err
		}
		// It will not be taken however often it is sent, and what comes after it must not wait for ever.
		e.logger.Error("The next consumer refused alert events for good; they are passed over",
			zap.Int("events", len(happenings)), zap.Error(err))
	} else {
		e.obs.batch(exported)
	}
	e.obs.events(len(happenings), how)
	e.taken = happenings[len(happenings)-1].Seq
	if err := e.store(ctx); err != nil {
		e.obs.batch(ledgerFailed)
		return 0, err
	}
	return len(happenings), nil
}

// happening is an event with what it does not say about its episode.
type happening struct {
	*ledger.Event
	alertID, ruleGroup, sourceMetric string
}

// read returns the events behind the cursor.
func (e *exporter) read(ctx context.Context) (happenings []happening, now time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = e.ledger.View(ctx, time.Now(), func(tx ledger.Tx) error {
		happenings, now = nil, tx.Now()
		position, err := tx.Cursor(e.cursor)
		if err != nil {
			return err
		}
		e.stored, e.taken = position, max(e.taken, position)
		events, err := tx.EventsAfter(e.taken, batchSize)
		if err != nil {
			return err
		}
		episodes := map[string]*ledger.Episode{}
		for _, event := range events {
			episode := episodes[event.EpisodeID]
			if episode == nil {
				episode, err = tx.Episode(event.EpisodeID)
				if errors.Is(err, ledger.ErrNotFound) {
					episode = &ledger.Episode{}
				} else if err != nil {
					return err
				}
				episodes[event.EpisodeID] = episode
			}
			happenings = append(happenings, happening{event, episode.AlertID, episode.RuleGroup, episode.SourceMetric})
		}
		return nil
	})
	return happenings, now, err
}

// store moves the ledger's cursor to what was taken. Events are not sent again because this fails.
func (e *exporter) store(ctx context.Context) error {
	if e.taken <= e.stored {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := e.ledger.Update(ctx, time.Now(), func(tx ledger.Tx) error { return tx.PutCursor(e.cursor, e.taken) })
	if err == nil {
		e.stored = e.taken
	}
	return err
}
