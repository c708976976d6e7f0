package rule

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLiterals(t *testing.T) {
	for text, want := range map[string][]string{
		``:                                  nil,
		`no strings`:                        nil,
		`a == "b" and c == 'd' or ` + "`e`": {"b", "d", "e"},
		`"with \"quotes\" inside"`:          {`with "quotes" inside`},
		`"back\\slash" "n\n"`:               {`back\slash`, "n\n"},
		`"other 'quotes' stay"`:             {`other 'quotes' stay`},
		"x # it's a comment\n{a=~\"b\"}":    {"b"},
		"x # it's a comment":                nil,
		`{a=~"#not a comment"}`:             {"#not a comment"},
		"`raw \\`, \"b\"":                   {`raw \`, "b"},
		`"never closed`:                     nil,
		`"wrong \q escape"`:                 {`wrong \q escape`},
	} {
		assert.Equal(t, want, literals(text), text)
	}
}

func TestRegexSize(t *testing.T) {
	for expr, want := range map[string]int{
		"":                     1,
		"abc":                  3,
		"a{100}":               100,
		"(ab){10,20}":          60, // the group counts as well
		"(a{10}){10}":          110,
		"a*b+c?":               7,
		"[a-z]":                2,
		"(":                    0,
		"(a{1000}){1000}":      0, // Go refuses it by itself
		"plain text, no regex": 20,
	} {
		assert.Equal(t, want, regexSize(expr), expr)
	}
}
