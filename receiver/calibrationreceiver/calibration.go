package calibrationreceiver

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/otelcol-escalation/otelcol-escalation/internal/web"
)

// calibration is the receiver. It reads the clock; nothing below it does.
type calibration struct {
	cfg     *Config
	set     receiver.Settings
	tell    *telemetry
	forget  func()
	metrics consumer.Metrics // nil without a metrics pipeline
	logs    consumer.Logs    // nil without a logs pipeline

	startOnce, stopOnce sync.Once
	startErr, stopErr   error

	host   component.Host
	ledger ledger.Ledger
	server *http.Server
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	failing bool
}

func newCalibration(set receiver.Settings, cfg *Config, forget func()) (*calibration, error) {
	tell, err := newTelemetry(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &calibration{cfg: cfg, set: set, tell: tell, forget: forget}, nil
}

// Start starts the server and the two flows, once for both pipelines.
func (c *calibration) Start(ctx context.Context, host component.Host) error {
	c.startOnce.Do(func() { c.startErr = c.start(ctx, host) })
	return c.startErr
}

func (c *calibration) start(ctx context.Context, host component.Host) error {
	c.host = host
	found, ok := host.GetExtensions()[c.cfg.Ledger]
	if !ok {
		return fmt.Errorf("ledger: extension %q is not there: name it under service.extensions", c.cfg.Ledger)
	}
	provider, ok := found.(ledger.Provider)
	if !ok {
		return fmt.Errorf("ledger: extension %q is no alert_ledger", c.cfg.Ledger)
	}
	c.ledger = provider.Ledger()
	// Not Start's context: it ends when Start returns.
	running, stop := context.WithCancel(context.Background())
	c.stop = stop
	if err := c.serve(ctx, host); err != nil {
		stop()
		return err
	}
	if c.metrics != nil {
		c.done.Go(func() { c.collect(running) })
	}
	if c.logs != nil {
		c.done.Go(func() { c.follow(running) })
	}
	return nil
}

// serve starts the HTTP server.
func (c *calibration) serve(ctx context.Context, host component.Host) error {
	authenticator := ""
	if auth := c.cfg.HTTP.Auth.Get(); auth != nil {
		authenticator = auth.Config.AuthenticatorID.String()
	}
	site := web.New(web.Options{
		Ledger:        c.ledger,
		Now:           time.Now,
		Authenticator: authenticator,
		LoopbackHosts: authenticator == "",
		Answered:      c.tell.answered,
		Done:          c.tell.done,
		Failed:        c.failed,
	})
	if err := site.Prepare(ctx); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	cfg := c.cfg.HTTP
	cfg.MaxRequestBodySize = web.MaxBody
	server, err := cfg.ToServer(ctx, host.GetExtensions(), c.set.TelemetrySettings, site, confighttp.WithErrorHandler(refuse))
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	listener, err := cfg.ToListener(ctx)
	if err != nil {
		return fmt.Errorf("http.endpoint: %w", err)
	}
	c.server = server
	c.set.Logger.Info("The page is served.", zap.String("address", "http://"+listener.Addr().String()))
	c.done.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
	})
	return nil
}

// refuse answers what the server refuses before the site sees it. A browser asks for a name and a password only when it
// is told to.
func refuse(w http.ResponseWriter, _ *http.Request, text string, code int) {
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="alerts", charset="UTF-8"`)
		text = "authentication is required"
	}
	web.WriteError(w, code, text)
}

// Shutdown ends the server and the flows, once for both pipelines.
func (c *calibration) Shutdown(ctx context.Context) error {
	c.stopOnce.Do(func() {
		c.forget()
		if c.stop != nil {
			c.stop()
		}
		if c.server != nil {
			c.stopErr = c.server.Shutdown(ctx)
		}
		c.done.Wait()
		c.tell.shutdown()
	})
	return c.stopErr
}

// failed and worked report the ledger's health, once per change.
func (c *calibration) failed(err error) {
	c.tell.ledgerFailed()
	c.mu.Lock()
	first := !c.failing
	c.failing = true
	c.mu.Unlock()
	if first {
		c.set.Logger.Error("The ledger cannot be used.", zap.Error(err))
		componentstatus.ReportStatus(c.host, componentstatus.NewRecoverableErrorEvent(err))
	}
}

func (c *calibration) worked() {
	c.mu.Lock()
	was := c.failing
	c.failing = false
	c.mu.Unlock()
	if was {
		c.set.Logger.Info("The ledger can be used again.")
		componentstatus.ReportStatus(c.host, componentstatus.NewEvent(componentstatus.StatusOK))
	}
}

// ledgerTimeout bounds one reading of the ledger.
const ledgerTimeout = 10 * time.Second

func (c *calibration) view(ctx context.Context, fn func(ledger.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	err := c.ledger.View(ctx, time.Now(), fn)
	if err != nil && ctx.Err() == nil {
		c.failed(err)
	} else if err == nil {
		c.worked()
	}
	return err
}
