// Package webhook takes what pagers send back: it verifies who sent it, reads what it says, and applies it to the episodes that
// it is about. Verifying and reading are pure; whoever serves it hands over the ledger and the time.
package webhook

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Kind is what a feedback asks for.
type Kind string

// The kinds.
const (
	Acknowledge   Kind = "acknowledge"
	Unacknowledge Kind = "unacknowledge"
	Resolve       Kind = "resolve"
	Snooze        Kind = "snooze"
	Verdict       Kind = "verdict"
	// Relayed says that an Alertmanager has told somebody.
	Relayed Kind = "relayed"
)

// Feedback is one thing that a webhook says about one episode, or about what was paged under one key.
type Feedback struct {
	Kind Kind
	// EpisodeID, AlertID or Key say what it is about: the first that is set counts. Key is the dedup key as the product has
	// it: the group's id, or its SHA-256 in hex, which Alertmanager's integrations send.
	EpisodeID, AlertID, Key string
	// By is the person as pages show it, Person whom a verdict counts for.
	By, Person string
	Note       string
	Verdict    ledger.Verdict
	For        time.Duration
}

// Delivery is what one request says.
type Delivery struct {
	// EventID is unique for the source: a request that is repeated has it again.
	EventID  string
	Feedback []Feedback
}

// Replier is a Source whose product wants an answer in its own words.
type Replier interface {
	// Reply is the body of the answer to what was taken.
	Reply(d Delivery, a Applied) any
}

// Errors of requests.
var (
	// ErrUnverified says that the sender is not who may send.
	ErrUnverified = errors.New("the signature or token is missing, wrong or too old")
	// ErrUnreadable says that the body is not what the source sends.
	ErrUnreadable = errors.New("the body cannot be read")
)

// Source reads the requests of one product.
type Source interface {
	// Read verifies and reads one request.
	Read(header http.Header, body []byte, now time.Time) (Delivery, error)
}

// tolerance is how far a signed timestamp may lie from now.
const tolerance = 5 * time.Minute

// Bounds of texts that come in.
const (
	longestName = 200
	longestNote = 4000
)

// nameOf is a name as pages show it, in one line; instead where there is none.
func nameOf(text, instead string) string {
	name := strings.Join(strings.Fields(bounded(text, longestName)), " ")
	if name == "" {
		return instead
	}
	return name
}

func bounded(text string, n int) string {
	runes := []rune(text)
	if len(runes) > n {
		runes = runes[:n]
	}
	for i, r := range runes {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			runes[i] = ' '
		}
	}
	return string(runes)
}
