package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Alertmanager reads the webhooks (version 4) of an Alertmanager that is told of our alerts, sent with a bearer token: somebody has been told of those that fire. That
// they are resolved it has from us.
type Alertmanager struct{ Token string }

// mostAlerts bounds what one request is read for.
const mostAlerts = 1000

// Read implements Source.
func (a Alertmanager) Read(header http.Header, body []byte, _ time.Time) (Delivery, error) {
	if !Bearer(header, a.Token) {
		return Delivery{}, ErrUnverified
	}
	var b struct {
		Version  string `json:"version"`
		Receiver string `json:"receiver"`
		Alerts   []struct {
			Status string            `json:"status"`
			Labels map[string]string `json:"labels"`
		} `json:"alerts"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return Delivery{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if b.Version != "4" {
		return Delivery{}, fmt.Errorf("%w: version must be 4 (got %q)", ErrUnreadable, b.Version)
	}
	sum := sha256.Sum256(body) // it has no id of its own, and repeats itself word for word where it tries again
	d := Delivery{EventID: hex.EncodeToString(sum[:])}
	for i, one := range b.Alerts {
		if i == mostAlerts {
			break
		}
		f := Feedback{Kind: Relayed, EpisodeID: one.Labels["episode_id"], AlertID: one.Labels["alert_id"], By: nameOf("alertmanager/"+b.Receiver, "")}
		if one.Status == "firing" && (f.EpisodeID != "" || f.AlertID != "") {
			d.Feedback = append(d.Feedback, f)
		}
	}
	return d, nil
}

// Bearer reports whether a request carries a token, compared in constant time.
func Bearer(header http.Header, token string) bool {
	given, ok := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	got, want := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && ok && token != ""
}
