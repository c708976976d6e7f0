package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// errProbed undoes a probe that need not be kept.
var errProbed = errors.New("probed")

// probeAfterFailure is written after a failure: a disk that has room for a few bytes only is still full.
var probeAfterFailure = strings.Repeat(".", 256<<10)

// Healthy tries to write. As long as writes succeed the trial is rolled back, which costs no sync; after a failure it
// is committed, since a full disk shows only then.
func (l *Ledger) Healthy(ctx context.Context) error {
	if err := l.dialect.present(); err != nil {
		return err
	}
	last := l.failure.Load()
	var err error
	end := errProbed
	if last != nil {
		err, end = l.probe(ctx, probeAfterFailure, nil), nil
	}
	if err == nil {
		err = l.probe(ctx, "", end)
	}
	if err == nil || errors.Is(err, errProbed) {
		return nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("the ledger does not answer: %w", err)
		if last != nil {
			err = fmt.Errorf("%w; before: %w", err, last.err)
		}
	}
	return err
}

func (l *Ledger) probe(ctx context.Context, text string, end error) error {
	return l.submit(ctx, l.probes, time.Time{}, func(t *tx) error {
		if err := t.write(putSetting, settingProbe, text); err != nil {
			return err
		}
		return end
	})
}
