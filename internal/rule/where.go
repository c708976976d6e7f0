package rule

import (
	"context"
	"slices"
	"strings"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottldatapoint"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/ottlfuncs"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
)

// Where is a compiled OTTL data point condition. It is safe for concurrent use.
type Where struct {
	text      string
	condition *ottl.Condition[*ottldatapoint.TransformContext]
}

// Match reports whether the condition holds for a data point. An error means that it cannot be decided for this point,
// such as a comparison of a type that OTTL does not compare.
func (w *Where) Match(ctx context.Context, rm pmetric.ResourceMetrics, sm pmetric.ScopeMetrics, m pmetric.Metric, dp pmetric.NumberDataPoint) (bool, error) {
	tc := ottldatapoint.NewTransformContext(rm, sm, m, dp)
	defer tc.Close()
	return w.condition.Eval(ctx, tc)
}

// String returns the condition as written.
func (w *Where) String() string {
	if w == nil {
		return ""
	}
	return w.text
}

// whereParser is OTTL's parser of data point conditions with its standard converters.
type whereParser struct {
	parser ottl.Parser[*ottldatapoint.TransformContext]
}

func newWhereParser() (*whereParser, error) {
	parser, err := ottldatapoint.NewParser(
		ottlfuncs.StandardConverters[*ottldatapoint.TransformContext](),
		// Conditions are evaluated per data point, where nothing may be logged.
		component.TelemetrySettings{Logger: zap.NewNop()},
		ottldatapoint.EnablePathContextNames(),
	)
	if err != nil {
		return nil, err
	}
	return &whereParser{parser: parser}, nil
}

// Bounds on one condition. OTTL's parser takes quadratic time in nested parentheses.
const (
	maxWhere      = 4 << 10
	maxWhereDepth = 32
)

func (d *decoder) where(f field) *Where {
	text, ok := f.nonEmpty(maxWhere)
	if !ok || !d.checkRegexes(f, text) {
		return nil
	}
	if nesting(text) > maxWhereDepth {
		f.errorf("must not nest parentheses deeper than %d levels", maxWhereDepth)
		return nil
	}
	if d.wheres == nil {
		parser, err := newWhereParser()
		if err != nil {
			f.errorf("OTTL cannot be set up: %v", err)
			return nil
		}
		d.wheres = parser
	}
	condition, err := d.wheres.parser.ParseCondition(text)
	if err != nil {
		f.errorf("must be an OTTL data point condition, such as resource.attributes[\"deployment.environment.name\"] == \"prod\": %s", ottlText(err))
		return nil
	}
	return &Where{text: text, condition: condition}
}

// nesting is how deep parentheses are nested, those in strings counted too.
func nesting(text string) int {
	depth, deepest := 0, 0
	for _, c := range text {
		switch c {
		case '(':
			depth++
			deepest = max(deepest, depth)
		case ')':
			depth--
		}
	}
	return deepest
}

const ottlOptions = "possibly valid options are: "

// ottlText is OTTL's error in one line. OTTL lists the contexts of a path in the order of a map; here they are sorted,
// so that the same file always has the same errors.
func ottlText(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	before, list, found := strings.Cut(text, ottlOptions)
	if !found {
		return text
	}
	options := strings.Split(list, ", ")
	slices.Sort(options)
	return before + ottlOptions + strings.Join(options, ", ")
}
