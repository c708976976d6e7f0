package rule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits on one file. They are far beyond what people write and keep hostile files from costing more than a fraction of
// a second and some hundred megabytes.
const (
	// maxFileSize is four times what a Kubernetes ConfigMap can hold.
	maxFileSize = 4 << 20
	// maxMarks bounds the characters that can begin a YAML value. Each value takes a hundred times its one byte of text.
	maxMarks = 600_000
	// maxAliased bounds the values that aliases add to those that are written down.
	maxAliased = 50_000
)

// parseDocument reads the one YAML document of a file. It returns nil for a file without content.
func parseDocument(path string, content []byte) (root *yaml.Node, err *Error) {
	if len(content) > maxFileSize {
		return nil, &Error{
			Position: Position{File: path, Line: 1, Column: 1},
			Msg:      fmt.Sprintf("must not be larger than %d bytes: split the file (got %d)", maxFileSize, len(content)),
		}
	}
	if n := countMarks(content); n > maxMarks {
		return nil, &Error{
			Position: Position{File: path, Line: 1, Column: 1},
			Msg:      fmt.Sprintf("must not hold more than %d values: split the file (got about %d)", maxMarks, n),
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		switch failed := decodeNext(decoder, &document); {
		case errors.Is(failed, io.EOF):
			return root, nil
		case failed != nil:
			return nil, syntaxError(path, failed)
		}
		value := document.Content[0]
		if isNull(value) {
			continue // `---` without content
		}
		if root != nil {
			return nil, &Error{
				Position: Position{File: path, Line: value.Line, Column: value.Column},
				Msg:      "must hold one YAML document: put each into a file of its own (found a second one)",
			}
		}
		root = value
		if err := checkAliases(path, root); err != nil {
			return nil, err
		}
	}
}

// decodeNext turns a panic of the YAML library into an error: a rule file must not stop the collector.
func decodeNext(decoder *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("yaml: %v", cause)
		}
	}()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if into.Kind != yaml.DocumentNode || len(into.Content) == 0 {
		into.Content = []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}}
	}
	return nil
}

// countMarks estimates how many values a file holds, from above.
func countMarks(content []byte) int {
	n := 0
	for _, c := range content {
		switch c {
		case '\n', ',', '[', '{', ':', '-', '?':
			n++
		}
	}
	return n
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// countedFromZero are the YAML library's errors whose lines it counts from 0: those of its parser, not of its scanner.
var countedFromZero = []string{
	"did not find expected <document start>",
	"did not find expected node content",
	"did not find expected '-' indicator",
	"did not find expected key",
	"did not find expected ',' or ']'",
	"did not find expected ',' or '}'",
}

// syntaxError gives the YAML library's error the form of ours. The line is that where the list or mapping in question
// begins; the library does not tell more.
func syntaxError(path string, err error) *Error {
	p := Position{File: path, Line: 1, Column: 1}
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		if line, convErr := strconv.Atoi(m[1]); convErr == nil && line > 0 {
			p.Line = line
		}
		text = text[len(m[0]):]
		if slices.Contains(countedFromZero, text) {
			p.Line++
		}
	}
	return &Error{Position: p, Msg: "cannot be read as YAML: " + strings.TrimPrefix(text, "yaml: ")}
}

// checkAliases refuses aliases that contain themselves, and those that multiply: a few lines of nested aliases can
// stand for billions of values.
func checkAliases(path string, root *yaml.Node) *Error {
	c := aliasCheck{path: path, sizes: map[*yaml.Node]int{}}
	c.size(root)
	return c.err
}

type aliasCheck struct {
	path string
	// sizes are the values that an anchored node stands for, aliases in it followed; visiting while they are counted.
	sizes map[*yaml.Node]int
	added int
	err   *Error
}

const visiting = -1

func (c *aliasCheck) size(n *yaml.Node) int {
	if c.err != nil {
		return 0
	}
	if n.Kind == yaml.AliasNode {
		return c.alias(n)
	}
	if n.Anchor != "" {
		c.sizes[n] = visiting
	}
	size := 1
	for _, child := range n.Content {
		size += c.size(child)
	}
	if n.Anchor != "" {
		c.sizes[n] = size
	}
	return size
}

func (c *aliasCheck) alias(n *yaml.Node) int {
	size, known := c.sizes[n.Alias]
	switch {
	case !known: // an anchor always stands before its alias
		size = c.size(n.Alias)
	case size == visiting:
		c.fail(n, "must not contain itself (got *%s)", n.Value)
		return 0
	}
	if c.added += size; c.added > maxAliased {
		c.fail(n, "aliases must not add more than %d values: write the rules out (at *%s)", maxAliased, n.Value)
	}
	return size
}

func (c *aliasCheck) fail(n *yaml.Node, format string, args ...any) {
	c.err = &Error{
		Position: Position{File: c.path, Line: n.Line, Column: n.Column},
		Msg:      fmt.Sprintf(format, args...),
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }
