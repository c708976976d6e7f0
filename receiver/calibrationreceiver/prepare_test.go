package calibrationreceiver

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/web"
)

// A page that could not be prepared at the start is there as soon as the ledger is.
func TestPreparesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fragile{Ledger: ledgertest.New(t)}
		l.updates.Store(true)
		site := web.New(web.Options{Ledger: l, Now: time.Now})
		statuses := make(chan *componentstatus.Event, 10)
		h := &health{logger: zap.NewNop(), report: func(e *componentstatus.Event) { statuses <- e }}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		assert.False(t, prepare(ctx, site, h))
		done := make(chan struct{})
		go func() { keepPreparing(ctx, site, h); close(done) }()
		shown := func() int {
			w := httptest.NewRecorder()
			site.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/", http.NoBody))
			return w.Code
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, http.StatusServiceUnavailable, shown())
		assert.Equal(t, componentstatus.StatusRecoverableError, (<-statuses).Status())
		assert.Empty(t, statuses)
		l.updates.Store(false)
		time.Sleep(prepareInterval)
		<-done
		assert.Equal(t, http.StatusOK, shown())
		assert.Equal(t, componentstatus.StatusOK, (<-statuses).Status())
	})
}
