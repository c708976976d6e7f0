// Package web is the page and the HTTP API: what people see of the alerts and what they do about them. It has no
// server of its own, reads no clock and keeps nothing: whoever serves it hands over a ledger, a clock and the settings.
//
// A GET changes nothing. A POST is answered after what it did is durable, and repeating it changes nothing.
package web

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

const (
	// MaxBody is the largest request body that is read, in bytes.
	MaxBody = 256 << 10
	// ledgerTimeout bounds the time that a request waits for the ledger.
	ledgerTimeout = 10 * time.Second
)

// Options are what the site needs from who serves it.
type Options struct {
	Ledger ledger.Ledger
	Now    func() time.Time
	// Authenticator names what the server authenticates callers with; "" where it does not. Callers whom it lets in
	// without a name of their own are one person, called this.
	Authenticator string
	// Assessor concludes about rules; nil is one with the defaults.
	Assessor *quality.Assessor
	// UserHeader is the header in which a proxy that authenticates people names them; "" where there is none. A request
	// without it is refused. Who serves the site makes sure that nobody but the proxy gets through to it.
	UserHeader string
	// LoopbackHosts refuses requests whose Host is not a name of this machine's loopback interface, nor one of Hosts. Without
	// it a page from anywhere could have its own name resolve to 127.0.0.1 and then use the API as its own origin.
	LoopbackHosts bool
	// Hosts are further names of this server, without ports: those that a proxy is reached by.
	Hosts []string

	// Answered is told of every answer; route is one of a fixed set. Done is told of every deed that was recorded, and
	// Failed of every error of the ledger. All three may be nil.
	Answered func(route string, code int)
	Done     func(deed string)
	Failed   func(error)
}

// Site serves the page and the API.
type Site struct {
	opts   Options
	secret secret
	mux    *http.ServeMux
	origin *http.CrossOriginProtection
}

var _ http.Handler = (*Site)(nil)

// route is one path with its methods.
type route struct {
	pattern string
	// page says that errors are shown to a person, not to a program.
	page    bool
	methods map[string]handler
}

// handler answers a request or returns why it cannot.
type handler func(http.ResponseWriter, *http.Request) error

// New returns a site. It cannot take forms before Prepare has succeeded once.
func New(opts Options) *Site {
	if opts.Assessor == nil {
		opts.Assessor = &quality.Assessor{Window: 30 * 24 * time.Hour, Limits: calibrate.DefaultLimits()}
	}
	s := &Site{opts: opts, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection()}
	for _, r := range s.routes() {
		s.mux.Handle(r.pattern, s.serve(r))
	}
	return s
}

// Routes lists what the site answers, as method and path: "GET /alerts/{id}". HEAD goes with GET.
func (s *Site) Routes() (all []string) {
	for _, r := range s.routes() {
		for _, method := range slices.Sorted(maps.Keys(r.methods)) {
			all = append(all, method+" "+r.pattern)
		}
	}
	return all
}

func (s *Site) routes() []route {
	get := func(h handler) map[string]handler { return map[string]handler{http.MethodGet: h} }
	routes := []route{
		{pattern: "/{$}", page: true, methods: get(s.showList)},
		{pattern: "/alerts/{id}", page: true, methods: get(s.showAlert)},
		{pattern: judgePath, page: true, methods: get(s.showJudge)},
		{pattern: ownersPath, page: true, methods: get(s.showOwners)},
		{pattern: missedPath, page: true, methods: get(s.showMissed)},
		{pattern: stylePath, methods: get(serveStyle)},
		{pattern: scriptPath, methods: get(serveScript)},
		{pattern: iconPath, methods: get(serveIcon)},
		{pattern: "/api/v1/alerts", methods: get(s.listAlerts)},
		{pattern: "/api/v1/alerts/{id}", methods: get(s.getAlert)},
		{pattern: silencesPath, page: true, methods: get(s.showSilences)},
		{pattern: receiversPath, page: true, methods: get(s.showReceivers)},
		{pattern: rulesPath, page: true, methods: get(s.showRules)},
		{pattern: rulesPath + "/{name}", page: true, methods: get(s.showRule)},
		{pattern: "/api/v1/rules", methods: get(s.listRules)},
		{pattern: "/api/v1/rules/{name}", methods: get(s.getRule)},
		{pattern: "/api/v1/rules/{name}/changes", methods: map[string]handler{http.MethodPost: s.postChange}},
		{pattern: "/api/v1/owners", methods: get(s.listOwners)},
		{pattern: "/api/v1/missed", methods: map[string]handler{http.MethodPost: s.postMissed}},
		{pattern: "/api/v1/actions", methods: get(s.listActions)},
		{pattern: "/api/v1/silences", methods: map[string]handler{http.MethodGet: s.listSilences, http.MethodPost: s.postSilence}},
		{pattern: "/api/v1/silences/{id}", methods: map[string]handler{http.MethodGet: s.writeSilence, http.MethodDelete: s.deleteSilence}},
		{pattern: "/api/v1/receivers", methods: get(s.listReceivers)},
		{pattern: "/api/v1/receivers/{id}/test", methods: map[string]handler{http.MethodPost: s.tryReceiver}},
		{pattern: "/", methods: nil},
	}
	for _, d := range deeds() {
		routes = append(routes, route{pattern: d.path, methods: map[string]handler{http.MethodPost: s.take(d)}})
	}
	return routes
}

// contentPolicy lets a page load our style sheet, script and icon, lets the script fetch our pages, and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP sets what holds for every answer and hands the request to its route.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// Not no-referrer: with it, browsers send `Origin: null` along with our own forms.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if p := s.entrance(r); p.code != 0 {
		fail(w, r, false, p)
		s.answered("none", p.code)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
	s.mux.ServeHTTP(w, r)
}

// serve answers with what a route's handler says, in the form that its callers read.
func (s *Site) serve(r route) http.Handler {
	name := strings.TrimSuffix(r.pattern, "{$}")
	if r.methods == nil {
		name = "none"
	}
	allow := allowed(r.methods)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), ledgerTimeout)
		defer cancel()
		req = req.WithContext(ctx)
		answer := &recorder{ResponseWriter: w}
		defer func() { s.answered(name, answer.code) }()

		method := req.Method
		if method == http.MethodHead {
			method = http.MethodGet // the server leaves the body out
		}
		h := r.methods[method]
		switch {
		case r.methods == nil:
			fail(answer, req, !strings.HasPrefix(req.URL.Path, "/api/"), problem{http.StatusNotFound, "there is nothing here"})
		case h == nil:
			answer.Header().Set("Allow", allow)
			fail(answer, req, r.page, problem{http.StatusMethodNotAllowed, "the method must be one of " + allow})
		default:
			if err := h(answer, req); err != nil {
				s.refuse(answer, req, r.page, err)
			}
		}
	})
}

func allowed(methods map[string]handler) string {
	var names []string
	for _, method := range slices.Sorted(maps.Keys(methods)) {
		names = append(names, method)
		if method == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	return strings.Join(names, ", ")
}

func (s *Site) answered(route string, code int) {
	if s.opts.Answered != nil {
		s.opts.Answered(route, code)
	}
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
