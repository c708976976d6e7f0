package calibrationreceiver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
	"github.com/otelcol-escalation/otelcol-escalation/internal/web"
)

const (
	// maxHeader bounds a request's header, in bytes.
	maxHeader = 64 << 10
	// prepareInterval is how long the page waits to ask the ledger again for the key of its forms.
	prepareInterval = 5 * time.Second
)

// calibration is the receiver, whatever pipelines it stands in.
type calibration struct {
	config *Config
	set    receiver.Settings
	obs    *obsreport
	// nextMetrics and nextLogs are nil where no such pipeline has the receiver.
	nextMetrics consumer.Metrics
	nextLogs    consumer.Logs

	// stopWebhooks ends the webhooks' server, which listens on hooks; both are nil where there is none.
	stopWebhooks func(context.Context) error
	hooks        net.Listener

	server   *http.Server
	listener net.Listener
	cancel   context.CancelFunc
	work     sync.WaitGroup
}

func newCalibration(set receiver.Settings, config *Config) (*calibration, error) {
	obs, err := newObsreport(set)
	if err != nil {
		return nil, err
	}
	return &calibration{config: config, set: set, obs: obs}, nil
}

// start looks up the ledger, opens the server and begins to emit.
func (c *calibration) start(ctx context.Context, extensions map[component.ID]component.Component, report func(*componentstatus.Event)) error {
	l, err := findLedger(extensions, c.config.Ledger)
	if err != nil {
		return err
	}
	limits, err := c.config.Suggestions.limits()
	if err != nil {
		return err
	}
	assessor := &quality.Assessor{Window: time.Duration(c.config.Window), Limits: limits}
	h := &health{logger: c.set.Logger, report: report}
	site := web.New(web.Options{
		Ledger:        l,
		Now:           time.Now,
		Authenticator: c.config.authenticator(),
		Assessor:      assessor,
		UserHeader:    c.config.TrustedUserHeader,
		LoopbackHosts: c.config.checksHosts(),
		Hosts:         c.config.TrustedHosts,
		Answered:      c.obs.answered,
		Done:          c.obs.fedBack,
		Failed:        func(err error) { c.set.Logger.Warn("The alert ledger failed a request", zap.Error(err)) },
	})
	if err := c.listen(ctx, extensions, site); err != nil {
		return err
	}

	// Not Start's context, which ends with the start.
	run, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	if !prepare(ctx, site, h) { // before the first request, if it can be
		c.work.Go(func() { keepPreparing(run, site, h) })
	}
	if c.config.Webhooks.HasValue() {
		fatal := func(err error) { report(componentstatus.NewFatalErrorEvent(err)) }
		if c.stopWebhooks, err = c.serveWebhooks(ctx, extensions, l, fatal); err != nil {
			cancel()
			c.cancel = nil
			return errors.Join(err, c.listener.Close())
		}
	}
	c.work.Go(func() {
		if err := c.server.Serve(c.listener); !errors.Is(err, http.ErrServerClosed) {
			report(componentstatus.NewFatalErrorEvent(fmt.Errorf("the page's server stopped: %w", err)))
		}
	})
	c.work.Go(func() { keepRenewing(run, assessor, l, h) })
	if c.nextMetrics != nil {
		m := &collector{
			ledger: l, next: c.nextMetrics, obs: c.obs, health: h,
			interval: c.config.CollectionInterval, window: time.Duration(c.config.Window), assessor: assessor,
			admission: admission{limit: c.config.Limits.Series},
		}
		c.work.Go(func() { m.run(run) })
	}
	if c.nextLogs != nil {
		f := &follower{ledger: l, next: c.nextLogs, obs: c.obs, health: h, logger: c.set.Logger, cursor: cursorName(c.set.ID)}
		c.work.Go(func() { f.run(run) })
	}
	return nil
}

// shutdown stops what start started: requests that are being answered are answered, events that are not exported stay
// behind the cursor.
func (c *calibration) shutdown(ctx context.Context) error {
	var err error
	if c.cancel != nil {
		c.cancel()
		if err = c.server.Shutdown(ctx); err != nil {
			err = errors.Join(err, c.server.Close())
		}
	}
	if c.stopWebhooks != nil {
		err = errors.Join(err, c.stopWebhooks(ctx))
	}
	c.work.Wait()
	c.obs.shutdown()
	return err
}

func findLedger(extensions map[component.ID]component.Component, id component.ID) (ledger.Ledger, error) {
	extension, ok := extensions[id]
	if !ok {
		return nil, fmt.Errorf("ledger: there is no extension %q: configure it, and list it under service.extensions", id)
	}
	provider, ok := extension.(ledger.Provider)
	if !ok {
		return nil, fmt.Errorf("ledger: extension %q is no alert ledger: name one of type alert_ledger", id)
	}
	l := provider.Ledger()
	if l == nil {
		return nil, fmt.Errorf("ledger: extension %q has not started", id)
	}
	return l, nil
}

func (c *calibration) listen(ctx context.Context, extensions map[component.ID]component.Component, site http.Handler) error {
	server, err := c.config.HTTP.ToServer(ctx, extensions, c.set.TelemetrySettings, site, confighttp.WithErrorHandler(c.refuse(&c.config.HTTP)))
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	server.MaxHeaderBytes = maxHeader
	listener, err := c.config.HTTP.ToListener(ctx)
	if err != nil {
		return fmt.Errorf("http.endpoint: %w", err)
	}
	address, tcp := listener.Addr().(*net.TCPAddr)
	if c.config.loopbackOnly() && (!tcp || !address.IP.IsLoopback()) {
		instead := "http.auth"
		if c.config.TrustedUserHeader != "" {
			instead = "http.tls with client_ca_file"
		}
		return errors.Join(listener.Close(), fmt.Errorf("http.endpoint: %q is not the loopback interface here: "+
			"give an address such as 127.0.0.1:9195, or set %s (got %s)", c.config.HTTP.NetAddr.Endpoint, instead, listener.Addr()))
	}
	if tcp && !address.IP.IsLoopback() && !c.config.HTTP.TLS.HasValue() {
		c.set.Logger.Warn("People's credentials reach the page unencrypted: set http.tls, or serve it behind a proxy that does",
			zap.Stringer("address", address))
	}
	c.server, c.listener = server, listener
	c.set.Logger.Info("The alerts' page is served", zap.String("url", c.url(listener.Addr())))
	return nil
}

// url is where a person on this machine finds the page.
func (c *calibration) url(address net.Addr) string {
	switch {
	case address.Network() == "unix":
		return "unix://" + address.String()
	case c.config.HTTP.TLS.HasValue():
		return "https://" + address.String() + "/"
	default:
		return "http://" + address.String() + "/"
	}
}

// prepare has the site fetch what it keeps in the ledger and reports whether it has.
func prepare(ctx context.Context, site *web.Site, h *health) bool {
	ctx, cancel := context.WithTimeout(ctx, prepareInterval)
	defer cancel()
	err := site.Prepare(ctx)
	h.set("Preparing the page", err)
	return err == nil
}

func keepPreparing(ctx context.Context, site *web.Site, h *health) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(prepareInterval):
		}
		if prepare(ctx, site, h) || ctx.Err() != nil {
			return
		}
	}
}
