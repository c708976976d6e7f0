package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errProbed undoes a probe that need not be kept.
var errProbed = errors.New("probed")

// Healthy tries to write. As long as writes succeed the trial is rolled back, which costs no sync; after a failure it
// is committed, since a full disk shows only then.
func (l *Ledger) Healthy(ctx context.Context) error {
	if err := l.dialect.present(); err != nil {
		return err
	}
	last := l.failure.Load()
	err := l.submit(ctx, time.Time{}, func(t *tx) error {
		if err := t.write(putSetting, settingProbe, "written"); err != nil {
			return err
		}
		if last == nil {
			return errProbed
		}
		return nil
	})
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
