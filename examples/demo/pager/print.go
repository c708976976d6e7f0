package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// printer writes pages to a terminal. What it is given comes from metrics, and so from anywhere.
type printer struct {
	out    io.Writer
	colour bool

	mu sync.Mutex
}

// Escape sequences of ECMA-48 (SGR).
const (
	reset  = "\x1b[0m"
	bold   = "\x1b[1m"
	red    = "\x1b[1;37;41m"
	yellow = "\x1b[1;30;43m"
	green  = "\x1b[1;30;42m"
	blue   = "\x1b[1;37;44m"
)

// print writes one page as a whole, so that pages that arrive together do not mix.
func (p *printer) print(now time.Time, page *webhook) error {
	var b bytes.Buffer
	for i := range page.Alerts {
		p.alert(&b, now, page, &page.Alerts[i])
	}
	if page.TruncatedAlerts > 0 {
		fmt.Fprintf(&b, "          and %d alerts more\n", page.TruncatedAlerts)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.out.Write(b.Bytes())
	return err
}

func (p *printer) alert(b *bytes.Buffer, now time.Time, page *webhook, a *pagedAlert) {
	resolved := a.Status == "resolved"
	severity := clean(a.Labels["severity"])
	paint := tierColour(severity)
	status := "FIRING"
	if resolved {
		paint, status = green, "RESOLVED"
	}
	fmt.Fprintf(b, "%s  %s  %s  owner %s\n", now.Format(time.TimeOnly),
		p.paint(paint, " "+status+" "+strings.ToUpper(severity)+" "), p.paint(bold, clean(a.Labels["alertname"])), orNone(clean(a.Labels["owner"])))
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "          %-9s %s\n", name, text)
		}
	}
	line("", clean(a.Annotations["summary"]))
	line("value", against(a))
	line("since", since(now, a, resolved))
	line("response", clean(a.Annotations["response"]))
	line("labels", ownLabels(a.Labels))
	line("paged", paged(page, a))
	line("page", clean(a.Annotations["page_url"]))
}

// against is the value beside the threshold it passed.
func against(a *pagedAlert) string {
	value, threshold := clean(a.Annotations["value"]), clean(a.Annotations["threshold"])
	switch {
	case value == "":
		return ""
	case threshold == "":
		return short(value)
	default:
		return short(value) + " against a threshold of " + short(threshold)
	}
}

// short cuts a number to four digits that count; what is not a number stays as it is.
func short(text string) string {
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return strconv.FormatFloat(f, 'g', 4, 64)
	}
	return text
}

func since(now time.Time, a *pagedAlert, resolved bool) string {
	if a.StartsAt.IsZero() {
		return ""
	}
	until := now
	text := a.StartsAt.Local().Format(time.TimeOnly)
	if resolved {
		until = a.EndsAt
		text += " until " + until.Local().Format(time.TimeOnly)
	}
	return fmt.Sprintf("%s (%s)", text, until.Sub(a.StartsAt).Round(time.Second))
}

// ownLabels are the labels that are not shown elsewhere.
func ownLabels(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		switch name {
		case "alertname", "severity", "owner", "alert_id", "episode_id":
		default:
			parts = append(parts, clean(name)+"="+clean(labels[name]))
		}
	}
	return strings.Join(parts, "  ")
}

func paged(page *webhook, a *pagedAlert) string {
	text := clean(page.Receiver)
	if step := clean(a.Annotations["step"]); step != "" {
		text += " (step " + step + ")"
	}
	return text
}

func tierColour(severity string) string {
	switch severity {
	case "critical":
		return red
	case "high":
		return yellow
	default:
		return blue
	}
}

func (p *printer) paint(with, text string) string {
	if !p.colour {
		return strings.TrimSpace(text)
	}
	return with + text + reset
}

// clean makes text safe for one line of a terminal: no control or formatting characters (which move the cursor, set
// the window's title, or turn the direction of writing), and nothing that is not UTF-8.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

func orNone(text string) string {
	if text == "" {
		return "nobody"
	}
	return text
}
