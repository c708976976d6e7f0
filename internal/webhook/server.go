package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// MaxBody is the largest body that is read, in bytes.
const MaxBody = 256 << 10

// answerWithin is how long a request may wait for the ledger: senders want an answer within a second.
const answerWithin = 900 * time.Millisecond

// Options are what the handler needs.
type Options struct {
	Ledger ledger.Ledger
	Now    func() time.Time
	// Sources are by name: the last part of their path.
	Sources map[string]Source
	// GateToken lets controllers poll the gates; empty: there are none.
	GateToken string
	// Answered is told of every answer; route is one of Routes, or "none". Applied is told of every delivery that was taken, also where
	// it was about nothing of ours, Refused of every one that was not, Failed of every error of the ledger. All may be nil.
	Answered func(route string, code int)
	Applied  func(source string, a Applied)
	Refused  func(source string, err error)
	Failed   func(error)
}

// Prefix is where the routes are.
const Prefix = "/api/v1/"

// route is one path with its method. answer returns the status that it has answered with.
type route struct {
	pattern, method string
	answer          func(w http.ResponseWriter, r *http.Request) int
}

func (o Options) routes() (all []route) {
	for _, name := range slices.Sorted(maps.Keys(o.Sources)) {
		all = append(all, route{Prefix + "webhooks/" + name, http.MethodPost, func(w http.ResponseWriter, r *http.Request) int {
			return o.take(w, r, name, o.Sources[name])
		}})
	}
	if o.GateToken != "" {
		all = append(all, route{Prefix + "gates/{target}", http.MethodGet, o.opinion}, route{Prefix + "gates/{target}/rollback", http.MethodPost, o.rollback})
	}
	return all
}

// Routes lists what is answered, as method and path: "POST /api/v1/webhooks/slack".
func (o Options) Routes() (all []string) {
	for _, r := range o.routes() {
		all = append(all, r.method+" "+r.pattern)
	}
	return all
}

// New returns the webhooks' handler. What is not configured is not found.
func New(o Options) http.Handler {
	mux := http.NewServeMux()
	serve := func(pattern string, answer func(w http.ResponseWriter, r *http.Request) int) {
		name := pattern
		if pattern == "/" {
			name = "none"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("Cache-Control", "no-store")
			h.Set("X-Content-Type-Options", "nosniff")
			code := answer(w, r)
			if o.Answered != nil {
				o.Answered(name, code)
			}
		})
	}
	for _, one := range o.routes() {
		serve(one.pattern, func(w http.ResponseWriter, r *http.Request) int {
			if r.Method == one.method || r.Method == http.MethodHead && one.method == http.MethodGet {
				return one.answer(w, r)
			}
			w.Header().Set("Allow", one.method)
			return write(w, http.StatusMethodNotAllowed, map[string]string{"error": "the method must be " + one.method})
		})
	}
	serve("/", func(w http.ResponseWriter, _ *http.Request) int {
		return write(w, http.StatusNotFound, map[string]string{"error": "there is nothing here, or it is not configured"})
	})
	return mux
}

func write(w http.ResponseWriter, code int, v any) int {
	body, _ := json.Marshal(v) // of strings and numbers alone
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
	return code
}

// take answers after what was said is durable.
func (o Options) take(w http.ResponseWriter, r *http.Request, name string, source Source) int {
	refuse := func(code int, err error) int {
		if o.Refused != nil && code < http.StatusInternalServerError {
			o.Refused(name, err)
		}
		return write(w, code, map[string]string{"error": err.Error()})
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return refuse(http.StatusRequestEntityTooLarge, err)
		}
		return refuse(http.StatusBadRequest, ErrUnreadable)
	}
	d, err := source.Read(r.Header, body, o.Now())
	switch {
	case errors.Is(err, ErrUnverified):
		return refuse(http.StatusUnauthorized, ErrUnverified)
	case err != nil:
		return refuse(http.StatusBadRequest, err)
	}
	a := Applied{Ignored: len(d.Feedback) == 0}
	if !a.Ignored { // what asks for nothing leaves no trace
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		err = o.Ledger.Update(ctx, o.Now(), func(tx ledger.Tx) (err error) {
			a, err = Apply(tx, name, d)
			return err
		})
	}
	if err != nil {
		if o.Failed != nil {
			o.Failed(err)
		}
		w.Header().Set("Retry-After", "5")
		return refuse(http.StatusServiceUnavailable, errors.New("the alert ledger cannot be used now: try again"))
	}
	if o.Applied != nil {
		o.Applied(name, a)
	}
	code := http.StatusOK
	if a.Done == 0 && !a.Repeated {
		code = http.StatusAccepted // taken, and about nothing that is known here
	}
	if replier, ok := source.(Replier); ok {
		return write(w, code, replier.Reply(d, a))
	}
	return write(w, code, struct {
		Done    int    `json:"done"`
		Unknown int    `json:"unknown"`
		Note    string `json:"note,omitempty"`
	}{a.Done, a.Unknown, a.note()})
}

// note says, where nothing was done, why.
func (a Applied) note() string {
	switch {
	case a.Repeated:
		return "this event has been taken before: nothing was done again"
	case a.Ignored:
		return "it asks for nothing that can be done about an alert here"
	case a.Done == 0:
		return "it is about nothing that is open here"
	}
	return ""
}

// unknown is the opinion where the ledger does not answer.
const unknown Opinion = "unknown"

// gate reads a target's opinion; code is not 0 where it has answered already.
func (o Options) gate(w http.ResponseWriter, r *http.Request) (opinion Opinion, code int) {
	if !Bearer(r.Header, o.GateToken) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="gates"`)
		return "", write(w, http.StatusUnauthorized, map[string]string{"error": "a bearer token is needed"})
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	known := false
	target := r.PathValue("target")
	err := o.Ledger.View(ctx, o.Now(), func(tx ledger.Tx) error {
		text, err := tx.Setting(ledger.SettingTargets)
		if err != nil {
			return err
		}
		var targets []string
		if text != "" {
			if err := json.Unmarshal([]byte(text), &targets); err != nil {
				return err
			}
		}
		if known = slices.Contains(targets, target); !known {
			return nil
		}
		opinion, err = Gate(tx, target)
		return err
	})
	switch {
	case err != nil:
		if o.Failed != nil {
			o.Failed(err)
		}
		return unknown, 0
	case !known:
		return "", write(w, http.StatusNotFound, map[string]string{"error": "no exporter on this ledger has a target of that name: " + strings.ToValidUTF8(target, "?")})
	}
	return opinion, 0
}

// opinion answers GET gates/{target}: always 200, as Argo Rollouts' web metric wants it. What cannot be read is inconclusive.
func (o Options) opinion(w http.ResponseWriter, r *http.Request) int {
	opinion, code := o.gate(w, r)
	if code != 0 {
		return code
	}
	if opinion == unknown {
		opinion = Inconclusive
	}
	return write(w, http.StatusOK, map[string]string{"verdict": string(opinion)})
}

// rollback answers POST gates/{target}/rollback: Flagger rolls back on 200, and goes on with anything above 202. It changes
// nothing.
func (o Options) rollback(w http.ResponseWriter, r *http.Request) int {
	opinion, code := o.gate(w, r)
	switch {
	case code != 0:
		return code
	case opinion == unknown:
		return write(w, http.StatusServiceUnavailable, map[string]string{"error": "the alert ledger cannot be used now"})
	case opinion == RollBack:
		return write(w, http.StatusOK, map[string]string{"verdict": string(opinion)})
	default:
		return write(w, http.StatusConflict, map[string]string{"verdict": string(opinion)})
	}
}
