package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// page is what Alertmanager's webhook sends.
type page struct {
	Receiver string `json:"receiver"`
	Status   string `json:"status"`
	GroupKey string `json:"groupKey"`
	Alerts   []struct {
		Status      string            `json:"status"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		StartsAt    time.Time         `json:"startsAt"`
		EndsAt      time.Time         `json:"endsAt"`
	} `json:"alerts"`
	path string
	at   time.Time
}

// pager takes webhooks. While it is down it answers 503.
type pager struct {
	*httptest.Server
	mu    sync.Mutex
	pages []page
	down  bool
}

func newPager(t testing.TB) *pager {
	p := &pager{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		got := page{path: r.URL.Path, at: at}
		if err := json.Unmarshal(body, &got); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		p.pages = append(p.pages, got)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *pager) all() []page {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]page(nil), p.pages...)
}

// told counts the messages in which an alert with a name has a status.
func (p *pager) told(alertname, status string) int {
	n := 0
	for _, one := range p.all() {
		for _, a := range one.Alerts {
			if a.Labels["alertname"] == alertname && a.Status == status {
				n++
			}
		}
	}
	return n
}

// paged returns the ids of the alerts with a name that pages have told of as firing.
func (p *pager) paged(alertname string) map[string]bool {
	ids := map[string]bool{}
	for _, one := range p.all() {
		for _, a := range one.Alerts {
			if a.Labels["alertname"] == alertname && a.Status == "firing" {
				ids[a.Labels["alert_id"]] = true
			}
		}
	}
	return ids
}

func find(pages []page, alertname string) page {
	for _, p := range pages {
		for _, a := range p.Alerts {
			if a.Labels["alertname"] == alertname {
				return p
			}
		}
	}
	return page{}
}
