package calibrationreceiver

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// Where two people are wanted, one moves no suggestion, however often and under however many names, by whatever way the verdicts come;
// somebody else does.
func TestOnePersonMovesNoSuggestion(t *testing.T) {
	const episodes = 25
	const two = "suggestions: {min_people: 2}"
	standard, err := standardwebhooks.NewWebhook("czNjcmV0")
	require.NoError(t, err)
	byAPI := func(r *rig, id, by string, headers ...string) int {
		resp, _ := ask(t, "POST", r.url("/api/v1/alerts/"+id+"/verdict"), fmt.Sprintf(`{"verdict": "false_positive", "by": %q}`, by), append(asJSON, headers...)...)
		return resp.StatusCode
	}
	n := 0
	byWebhook := func(r *rig, id, by string) int {
		n++
		now, body := time.Now(), fmt.Sprintf(`{"type": "alert.verdict", "data": {"episode_id": %q, "verdict": "false_positive", "by": %q}}`, id, by)
		signature, err := standard.Sign(strconv.Itoa(n), now, []byte(body))
		require.NoError(t, err)
		resp, _ := ask(t, "POST", r.hookURL("/api/v1/webhooks/standard"), body, "webhook-id", strconv.Itoa(n), "webhook-timestamp", strconv.FormatInt(now.Unix(), 10), "webhook-signature", signature)
		return resp.StatusCode
	}
	for label, c := range map[string]struct {
		yaml       string
		one, other func(r *rig, id string, turn int) int // other is nil where there is nobody else
	}{
		"without authentication": {
			"{" + two + "}", func(r *rig, id string, turn int) int { return byAPI(r, id, fmt.Sprint("person ", turn)) }, nil,
		},
		"with a token that names nobody": {
			`{` + two + `, http: {endpoint: "127.0.0.1:0", auth: {authenticator: bearertokenauth}}}`,
			func(r *rig, id string, turn int) int {
				return byAPI(r, id, fmt.Sprint("person ", turn), "Authorization", "Bearer x")
			}, nil,
		},
		"behind a proxy": {
			`{` + two + `, trusted_user_header: X-User}`,
			func(r *rig, id string, turn int) int {
				return byAPI(r, id, fmt.Sprint("person ", turn), "X-User", "anna")
			},
			func(r *rig, id string, _ int) int { return byAPI(r, id, "anna", "X-User", "bob") },
		},
		"by a webhook": {
			two + allWebhooks, func(r *rig, id string, turn int) int { return byWebhook(r, id, fmt.Sprint("person ", turn)) },
			func(r *rig, id string, _ int) int { return byAPI(r, id, "anna") },
		},
	} {
		t.Run(label, func(t *testing.T) {
			l := ledgertest.New(t)
			var ids []string
			for i := range episodes {
				at, level := time.Now().Add(-time.Duration(episodes-i)*12*time.Hour), 0.91+float64(i)/1000
				id := fire(t, l, at, alert.Alert{ID: strconv.Itoa(i), Rule: "Full", FiringLevel: &level})
				update(t, l, at, func(tx ledger.Tx) error { return ledger.Notify(tx, id, "oncall", ledger.DeliverPage, 1) })
				update(t, l, at, func(tx ledger.Tx) error { return ledger.End(tx, id, alert.ReasonRecovered) })
				ids = append(ids, id)
			}
			host := newHost(l)
			host.extensions[component.MustNewID("bearertokenauth")] = authenticator{"Bearer x", nil}
			r := newRig(t, host, c.yaml)
			reason := func() (why calibrate.Reason) {
				_, body := ask(t, "GET", r.url("/api/v1/rules/Full"), "", "Authorization", "Bearer x", "X-User", "anna")
				var rule struct {
					Thresholds []struct {
						Reason   calibrate.Reason
						Labelled int
					}
				}
				require.NoError(t, json.Unmarshal([]byte(body), &rule), body)
				require.Len(t, rule.Thresholds, 1, body)
				require.Equal(t, episodes, rule.Thresholds[0].Labelled)
				return rule.Thresholds[0].Reason
			}
			for turn := range 8 {
				for _, id := range ids {
					require.Equal(t, 200, c.one(r, id, turn))
				}
			}
			assert.Equal(t, calibrate.FewPeople, reason())
			if c.other != nil {
				require.Equal(t, 200, c.other(r, ids[0], 0))
				assert.Equal(t, calibrate.Stands, reason())
			}
		})
	}
}
