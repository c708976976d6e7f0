package notify

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/config"
	amcommoncfg "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/config/receiver"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/timeinterval"
	commoncfg "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"
)

// Options are what the document does not say.
type Options struct {
	// ExternalURL is where the page is reached; links in messages point there. "" leaves them out.
	ExternalURL string
	// Logger is given to the integrations; nil discards.
	Logger *slog.Logger
	// Guard decides about addresses; the zero value refuses link-local, metadata and unspecified ones.
	Guard Guard
}

// templates stand over Alertmanager's own: what links to Alertmanager there links to our page.
const templates = `
{{ define "slack.default.text" }}{{ .CommonAnnotations.digest }}{{ end }}
{{ define "__pagerduty_severity" }}{{ with (index .Alerts 0).Labels.severity }}{{ if eq . "critical" }}critical{{ else if eq . "high" }}error{{ else if eq . "medium" }}warning{{ else }}info{{ end }}{{ end }}{{ end }}
{{ define "__alertmanager" }}Alert escalation{{ end }}
{{ define "__alertmanagerURL" }}{{ if .ExternalURL }}{{ .ExternalURL }}/{{ end }}{{ end }}
`

// Receivers are the built receivers of one document.
type Receivers struct {
	names        []string
	byReceiver   map[string][]Destination
	integrations map[string]*integration
	connections  *connections
	cfg          *config.Config
}

type integration struct {
	Destination
	amnotify.Integration
	style style
}

// Build loads a document with Alertmanager's own loader and builds every integration of its receivers. What is wrong is
// said with the receiver that it is wrong with.
func Build(d Document, opts Options) (*Receivers, error) {
	cfg, err := load(d.root)
	if err != nil {
		var textErr error
		if cfg, textErr = load(d.textual); textErr != nil {
			return nil, err
		}
	}
	tmpl, err := newTemplate(cfg.Templates, opts.ExternalURL)
	if err != nil {
		return nil, err
	}
	logger := opts.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	r := &Receivers{cfg: cfg, byReceiver: map[string][]Destination{}, integrations: map[string]*integration{}, connections: &connections{open: map[*bounded]struct{}{}}}
	dial := opts.Guard.dialer(r.connections)
	for i, rc := range cfg.Receivers {
		for _, pagerduty := range rc.PagerdutyConfigs {
			if pagerduty.Severity == "" { // theirs would be error
				pagerduty.Severity = `{{ template "__pagerduty_severity" . }}`
			}
		}
		built, err := receiver.BuildReceiverIntegrations(rc, tmpl, logger, commoncfg.WithDialContextFunc(dial), commoncfg.WithUserAgent("otelcol-escalation"))
		if err != nil {
			return nil, fmt.Errorf("receivers[%d] (%s): %w", i, rc.Name, redact(err))
		}
		if len(built) == 0 {
			return nil, fmt.Errorf("receivers[%d] (%s): must have at least one configuration, such as webhook_configs: a receiver without one tells nobody", i, rc.Name)
		}
		r.names = append(r.names, rc.Name)
		for _, one := range built {
			d := Destination{Name: fmt.Sprintf("%s/%s[%d]", rc.Name, one.Name(), one.Index()), Receiver: rc.Name, SendResolved: one.SendResolved()}
			r.byReceiver[rc.Name] = append(r.byReceiver[rc.Name], d)
			r.integrations[d.Name] = &integration{Destination: d, Integration: one, style: styleOf(one.Name())}
		}
	}
	return r, nil
}

// Names returns the receivers' names in the document's order.
func (r *Receivers) Names() []string { return r.names }

// Destinations returns the integrations of a receiver in the document's order, and whether it exists.
func (r *Receivers) Destinations(receiver string) ([]Destination, bool) {
	d, ok := r.byReceiver[receiver]
	return d, ok
}

// All returns every destination by name.
func (r *Receivers) All() []Destination {
	var all []Destination
	for _, name := range r.names {
		all = append(all, r.byReceiver[name]...)
	}
	return all
}

// TimeIntervals are the document's, by name.
func (r *Receivers) TimeIntervals() map[string][]timeinterval.TimeInterval {
	all := map[string][]timeinterval.TimeInterval{}
	for _, one := range r.cfg.TimeIntervals {
		all[one.Name] = one.TimeIntervals
	}
	return all
}

// InhibitRules are the document's. Those in Alertmanager's old words (source_match, target_match_re, …) are matchers, too.
func (r *Receivers) InhibitRules() (rules []InhibitRule, err error) {
	for i, one := range r.cfg.InhibitRules {
		rule := InhibitRule{Source: labels.Matchers(one.SourceMatchers), Target: labels.Matchers(one.TargetMatchers), Equal: one.Equal}
		for _, old := range []struct {
			exact  map[string]string
			regexp amcommoncfg.MatchRegexps
			into   *labels.Matchers
		}{{one.SourceMatch, one.SourceMatchRE, &rule.Source}, {one.TargetMatch, one.TargetMatchRE, &rule.Target}} {
			for _, name := range slices.Sorted(maps.Keys(old.exact)) {
				m, matcherErr := labels.NewMatcher(labels.MatchEqual, name, old.exact[name])
				*old.into, err = append(*old.into, m), errors.Join(err, matcherErr)
			}
			for _, name := range slices.Sorted(maps.Keys(old.regexp)) {
				m, matcherErr := labels.NewMatcher(labels.MatchRegexp, name, old.regexp[name].Original)
				*old.into, err = append(*old.into, m), errors.Join(err, matcherErr)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("inhibit_rules[%d]: %w", i, err)
		}
		if len(rule.Source) == 0 || len(rule.Target) == 0 {
			return nil, fmt.Errorf("inhibit_rules[%d]: must have source_matchers and target_matchers: without them every alert would be inhibited", i)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// InhibitRule is one of inhibit_rules.
type InhibitRule struct {
	Source, Target labels.Matchers
	Equal          []string
}

// receiversOf are the document's own, each a mapping with a name.
func receiversOf(root *yaml.Node) ([]*yaml.Node, error) {
	if root == nil {
		return nil, errors.New("receivers: at least one must be given")
	}
	list := find(root, "receivers")
	if list == nil || len(list.Content) == 0 {
		return nil, errors.New("receivers: at least one must be given")
	}
	seen := map[string]int{}
	for i, one := range list.Content {
		if one.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("receivers[%d]: must be a mapping with name", i)
		}
		name := find(one, "name")
		switch {
		case name == nil || name.Value == "":
			return nil, fmt.Errorf("receivers[%d].name: must not be empty", i)
		case strings.Contains(name.Value, "/"):
			return nil, fmt.Errorf("receivers[%d].name: must not contain a slash (got %q)", i, name.Value)
		}
		if before, ok := seen[name.Value]; ok {
			return nil, fmt.Errorf("receivers[%d].name: receivers[%d] has this name already (got %q)", i, before, name.Value)
		}
		seen[name.Value] = i
	}
	return list.Content, nil
}

func find(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// load gives the document to Alertmanager's loader, with a route of our own, because it wants one.
func load(root *yaml.Node) (*config.Config, error) {
	receivers, err := receiversOf(root)
	if err != nil {
		return nil, err
	}
	cfg, err := loadWith(root, receivers)
	if err == nil {
		return cfg, nil
	}
	if _, plainErr := loadWith(root, nil); plainErr == nil { // it is one of the receivers: which?
		for i := range receivers {
			if _, oneErr := loadWith(root, receivers[i:i+1]); oneErr != nil {
				return nil, fmt.Errorf("receivers[%d] (%s): %w", i, find(receivers[i], "name").Value, redact(oneErr))
			}
		}
	}
	for _, key := range Keys[1:] { // which of the others?
		if _, withoutErr := loadWith(without(root, key), nil); withoutErr == nil {
			return nil, fmt.Errorf("%s: %w", key, redact(err))
		}
	}
	return nil, fmt.Errorf("%s: %w", strings.Join(Keys[1:], ", "), redact(err))
}

func without(root *yaml.Node, key string) *yaml.Node {
	rest := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != key {
			rest.Content = append(rest.Content, root.Content[i], root.Content[i+1])
		}
	}
	return rest
}

func loadWith(root *yaml.Node, receivers []*yaml.Node) (*config.Config, error) {
	first := "none"
	list := &yaml.Node{Kind: yaml.SequenceNode, Content: receivers}
	if len(receivers) > 0 {
		first = find(receivers[0], "name").Value
	} else {
		list.Content = []*yaml.Node{{Kind: yaml.MappingNode, Content: []*yaml.Node{text("name"), text(first)}}}
	}
	doc := without(root, "receivers")
	doc.Content = append(doc.Content, text("receivers"), list, text("route"),
		&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("receiver"), text(first)}})
	content, err := yaml.Marshal(doc)
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(string(content))
	if err != nil {
		return nil, err
	}
	refuseRedirects(cfg)
	return cfg, nil
}

func newTemplate(files []string, externalURL string) (*template.Template, error) {
	tmpl, err := template.FromGlobs(files)
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	if err := tmpl.Parse(strings.NewReader(templates)); err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	for i, glob := range files { // the user's own stand over ours
		if err := tmpl.FromGlob(glob); err != nil {
			return nil, fmt.Errorf("templates[%d]: %w", i, err)
		}
	}
	if tmpl.ExternalURL, err = url.Parse(strings.TrimSuffix(externalURL, "/")); err != nil {
		return nil, fmt.Errorf("external_url: %w", err)
	}
	return tmpl, nil
}

// secrets in error texts: addresses with their paths and queries, and anything behind an authorization word.
var (
	urls       = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>]+`)
	maxErrText = 512
)

// redact takes addresses out of an error's text, because many carry a token, and bounds it.
func redact(err error) error {
	if err == nil {
		return nil
	}
	clean := urls.ReplaceAllStringFunc(err.Error(), func(raw string) string {
		if u, parseErr := url.Parse(raw); parseErr == nil && u.Host != "" {
			return u.Scheme + "://" + u.Host + "/…"
		}
		return "(address)"
	})
	clean = strings.ToValidUTF8(strings.ReplaceAll(clean, "\n", " "), "\uFFFD")
	if len(clean) > maxErrText {
		clean = strings.ToValidUTF8(clean[:maxErrText], "") + "…"
	}
	return errors.New(clean)
}
