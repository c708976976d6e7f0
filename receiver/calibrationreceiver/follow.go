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

// follower sends the ledger's events on as logs: in order, and each at least once, since the cursor moves only after the
// next consumer has taken them.
type follower struct {
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

func (f *follower) run(ctx context.Context) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = firstRetry, lastRetry
	for {
		changed := f.ledger.Changed() // before reading: what is written meanwhile is not missed
		n, err := f.export(ctx)
		if ctx.Err() != nil {
			return
		}
		f.health.set("Exporting alert events", err)
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
func (f *follower) export(ctx context.Context) (int, error) {
	if !f.ledger.Standing().Leads { // of several on one ledger, one exports; a change of who leads is told as a change
		f.taken = 0 // the ledger's cursor says where another has come to
		return 0, nil
	}
	if err := f.store(ctx); err != nil { // left over from the last batch
		f.obs.batch(ledgerFailed)
		return 0, err
	}
	happenings, now, err := f.read(ctx)
	if err != nil {
		f.obs.batch(ledgerFailed)
		return 0, err
	}
	if len(happenings) == 0 {
		return 0, nil
	}
	op := f.obs.standard.StartLogsOp(ctx)
	err = f.next.ConsumeLogs(op, logs(happenings, now))
	f.obs.standard.EndLogsOp(op, metadata.Type.String(), len(happenings), err)
	how := exported
	if err != nil {
		how = refused
		f.obs.batch(refused)
		if !consumererror.IsPermanent(err) {
			return 0, err
		}
		// It will not be taken however often it is sent, and what comes after it must not wait for ever.
		f.logger.Error("The next consumer refused alert events for good; they are passed over",
			zap.Int("events", len(happenings)), zap.Error(err))
	} else {
		f.obs.batch(exported)
	}
	f.obs.events(len(happenings), how)
	f.taken = happenings[len(happenings)-1].Seq
	if err := f.store(ctx); err != nil {
		f.obs.batch(ledgerFailed)
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
func (f *follower) read(ctx context.Context) (happenings []happening, now time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = f.ledger.View(ctx, time.Now(), func(tx ledger.Tx) error {
		happenings, now = nil, tx.Now()
		position, err := tx.Cursor(f.cursor)
		if err != nil {
			return err
		}
		f.stored, f.taken = position, max(f.taken, position)
		events, err := tx.EventsAfter(f.taken, batchSize)
		if err != nil {
			return err
		}
		episodes := map[string]*ledger.Episode{}
		for _, event := range events {
			episode := episodes[event.EpisodeID]
			if episode == nil && event.EpisodeID == "" { // about a rule
				episode = &ledger.Episode{}
			} else if episode == nil {
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
func (f *follower) store(ctx context.Context) error {
	if f.taken <= f.stored {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := f.ledger.Update(ctx, time.Now(), func(tx ledger.Tx) error { return tx.PutCursor(f.cursor, f.taken) })
	if err == nil {
		f.stored = f.taken
	}
	return err
}
