package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// maxBody is far beyond what Alertmanager sends for a group.
const maxBody = 8 << 20

// webhook is the part of Alertmanager's webhook, version 4, that is shown.
type webhook struct {
	Version         string            `json:"version"`
	Receiver        string            `json:"receiver"`
	TruncatedAlerts uint64            `json:"truncatedAlerts"`
	GroupLabels     map[string]string `json:"groupLabels"`
	Alerts          []pagedAlert      `json:"alerts"`
}

type pagedAlert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

type pager struct {
	now     func() time.Time
	printer printer
}

// ServeHTTP prints a webhook. A 200 means that it was printed: the sender tries again on anything else.
func (p *pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "a page is a POST of Alertmanager's webhook", http.StatusMethodNotAllowed)
		return
	}
	var page webhook
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&page); err != nil {
		http.Error(w, fmt.Sprintf("not an Alertmanager webhook: %v", err), http.StatusBadRequest)
		return
	}
	if page.Version != "4" {
		http.Error(w, fmt.Sprintf("version must be 4 (got %q)", page.Version), http.StatusBadRequest)
		return
	}
	if err := p.printer.print(p.now(), &page); err != nil {
		http.Error(w, "the terminal does not take it", http.StatusInternalServerError)
	}
}
