package alertledgerextension

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

const (
	// healthInterval is how often the database is tried, healthTimeout how long it may take.
	healthInterval = 10 * time.Second
	healthTimeout  = 5 * time.Second
	// retentionInterval is how often what is too old is removed.
	retentionInterval = time.Hour
)

type ledgerExtension struct {
	config *Config
	logger *zap.Logger
	obs    *obsreport

	store  *sqlstore.Ledger
	cancel context.CancelFunc
	work   sync.WaitGroup
}

var (
	_ extension.Extension = (*ledgerExtension)(nil)
	_ ledger.Provider     = (*ledgerExtension)(nil)
)

func newExtension(set extension.Settings, config *Config) (*ledgerExtension, error) {
	obs, err := newObsreport(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &ledgerExtension{config: config, logger: set.Logger, obs: obs}, nil
}

// Ledger is nil before Start. The Collector starts extensions before what uses them.
func (e *ledgerExtension) Ledger() ledger.Ledger {
	if e.store == nil {
		return nil
	}
	return e.store
}

// Start opens the database: a Collector that could not record alerts must not look as if it did.
func (e *ledgerExtension) Start(ctx context.Context, host component.Host) error {
	options := e.config.options()
	options.OnCommit = e.obs.commit
	store, err := sqlstore.Open(ctx, time.Now(), options)
	if err != nil {
		return err
	}
	e.store = store
	if err := e.obs.observe(store.OpenEpisodes, store.Size); err != nil {
		return err
	}
	// Not Start's context, which ends with the start.
	watch, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.work.Go(func() { e.watchHealth(watch, host) })
	if e.config.Retention > 0 {
		e.work.Go(func() { e.retain(watch) })
	}
	return nil
}

// Shutdown stops what Start started and closes the database, with everything that was committed in its file.
func (e *ledgerExtension) Shutdown(context.Context) error {
	if e.cancel != nil {
		e.cancel()
	}
	e.work.Wait()
	e.obs.shutdown()
	if e.store == nil {
		return nil
	}
	return e.store.Close()
}

// watchHealth reports when the database cannot be used, and when it can again; each once per change.
func (e *ledgerExtension) watchHealth(ctx context.Context, host component.Host) {
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	healthy := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := e.tryHealth(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && healthy:
			e.logger.Error("The alert ledger cannot be used", zap.Error(err))
			componentstatus.ReportStatus(host, componentstatus.NewRecoverableErrorEvent(err))
		case err == nil && !healthy:
			e.logger.Info("The alert ledger can be used again")
			componentstatus.ReportStatus(host, componentstatus.NewEvent(componentstatus.StatusOK))
		}
		healthy = err == nil
	}
}

func (e *ledgerExtension) tryHealth(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	return e.store.Healthy(ctx)
}

// retain removes what has become too old, at once after the start and then every retentionInterval.
func (e *ledgerExtension) retain(ctx context.Context) {
	ticker := time.NewTicker(retentionInterval)
	defer ticker.Stop()
	for {
		now := time.Now()
		removed, err := e.store.Prune(ctx, now, now.Add(-time.Duration(e.config.Retention)))
		e.obs.removed(removed)
		if err != nil && ctx.Err() == nil {
			e.logger.Warn("Old episodes could not be removed; the next try follows",
				zap.Duration("in", retentionInterval), zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
