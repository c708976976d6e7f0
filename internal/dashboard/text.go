package dashboard

import (
	"strings"
	"unicode"
)

// joiner keeps two characters apart for a machine, and is not seen.
const joiner = "\u2060"

// plain makes a title of a text: one line, in which Grafana finds no variable.
func plain(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	return apart(text, func(first string) string { return first + joiner })
}

// markdown writes a text, as Markdown, that shows it whatever is in it: no link, no image, no markup.
func markdown(text string) string {
	var b strings.Builder
	for _, r := range plain(text) {
		if strings.ContainsRune("\\`*_{}[]<>()#+!|~&$\"'@:/", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	// What looks like an address would become a link.
	return strings.ReplaceAll(b.String(), "www.", `www\.`)
}
