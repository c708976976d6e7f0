package web

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
)

// YAML is the changed part of the rule, to be copied. The rule file is not known here: what stands beside it stays.
func (t tuning) YAML() string {
	var b strings.Builder
	b.WriteString("- alert: " + yamlText(t.rule) + "\n  tiers:\n    " + t.Tier.String() + ":\n")
	to, from := exact(t.Suggestion.Threshold, ""), exact(t.Current, "")
	if !t.Band {
		// at_least and at_most look the same from outside.
		b.WriteString("      " + t.Bad() + ": " + to + "   # was " + from + "\n")
		return b.String()
	}
	low, high := to, exact(t.other.Current, "")
	if t.Side == calibrate.Above {
		low, high = exact(t.other.Current, ""), to
	}
	b.WriteString("      outside: [" + low + ", " + high + "]   # " + t.Bound() + " was " + from + "\n")
	return b.String()
}

// Command makes the same change in the rule files.
func (t tuning) Command() string {
	what := t.rule + "/" + t.Tier.String()
	if bound := t.Bound(); bound != "" {
		what += ":" + bound
	}
	command := "alertctl calibrate --set " + shellText(what+"="+exact(t.Suggestion.Threshold, ""))
	if t.Group != "" {
		command += " --group " + shellText(t.Group)
	}
	return command + " --write 'rules/*.yaml'"
}

var (
	plain    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	reserved = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null)$`)
)

// yamlText writes text as a YAML scalar: JSON's strings are YAML's, too.
func yamlText(text string) string {
	if plain.MatchString(text) && !reserved.MatchString(text) {
		return text
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// shellText quotes text so that a shell takes it as it is. A terminal that it is pasted into must not meet control characters.
func shellText(text string) string {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		var b strings.Builder
		for _, c := range []byte(text) {
			if c < ' ' || c >= 0x7f || c == '\'' || c == '\\' {
				fmt.Fprintf(&b, `\x%02x`, c)
			} else {
				b.WriteByte(c)
			}
		}
		return "$'" + b.String() + "'"
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
