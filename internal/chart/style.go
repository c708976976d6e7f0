package chart

import _ "embed"

// Style is the sheet of every chart. It takes the variables --text, --soft, --line, --card, --link, --critical, --high, --medium
// and --low from the page around it.
//
//go:embed style.css
var Style string

// palette sets those variables in a file that stands alone: light, dark as its reader prefers, light on paper.
//
//go:embed palette.css
var palette string
