package rule

import (
	"regexp/syntax"
	"strconv"
	"strings"
)

// Regular expressions are compiled when a rule is loaded and kept as long as it is. RE2 has no slow matches, but a few
// bytes such as (a{1000}){1000} compile to many megabytes.
const (
	// maxRegex bounds one rule's expression, in states of its automaton (40 bytes each).
	maxRegex = 50_000
	// maxRegexes bounds a file's.
	maxRegexes = 1_000_000
)

// checkRegexes estimates what the regular expressions among the string literals of a condition will take, before
// anything compiles them. Which literals are expressions does not matter: no other text looks like a big one.
func (d *decoder) checkRegexes(f field, text string) bool {
	size := 0
	for _, literal := range literals(text) {
		size += regexSize(literal)
	}
	switch {
	case size > maxRegex:
		f.errorf("its regular expressions must not repeat that much: they would take more than %d states (got about %d)", maxRegex, size)
	case d.regexSize+size > maxRegexes:
		f.errorf("the regular expressions of one file must not take more than %d states: split the file (got about %d up to here)", maxRegexes, d.regexSize+size)
	default:
		d.regexSize += size
		return true
	}
	return false
}

// regexSize estimates the states of a compiled expression; 0 for what is none.
func regexSize(expr string) int {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return 0
	}
	return states(parsed)
}

func states(re *syntax.Regexp) int {
	size := 1
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass:
		size = max(1, len(re.Rune))
	case syntax.OpRepeat:
		times := max(re.Min, re.Max, 1)
		return min(times*states(re.Sub[0]), maxRegexes)
	}
	for _, sub := range re.Sub {
		size += states(sub)
	}
	return min(size, maxRegexes)
}

// literals returns the contents of the quoted strings of an OTTL condition or a PromQL expression. Single quotes and
// back-quotes are PromQL's.
func literals(text string) []string {
	var found []string
	for i := 0; i < len(text); i++ {
		quote := text[i]
		if quote == '#' { // PromQL's comments run to the end of the line
			next := strings.IndexByte(text[i:], '\n')
			if next < 0 {
				break
			}
			i += next
			continue
		}
		if quote != '"' && quote != '\'' && quote != '`' {
			continue
		}
		end := i + 1
		for end < len(text) && text[end] != quote {
			if text[end] == '\\' && quote != '`' {
				end++
			}
			end++
		}
		if end >= len(text) {
			break
		}
		found = append(found, unquote(text[i:end+1]))
		i = end
	}
	return found
}

func unquote(literal string) string {
	inner := literal[1 : len(literal)-1]
	if literal[0] == '`' {
		return inner
	}
	if s, err := strconv.Unquote(`"` + inner + `"`); err == nil {
		return s
	}
	return inner
}
