package alert

// MetricKind is what the points of a metric are. Sums and distributions are cumulative.
type MetricKind uint8

// The kinds.
const (
	Gauge        MetricKind = iota
	Sum                     // monotonic
	UpDownSum               // not monotonic
	Distribution            // exponential histogram
)

// Instrument is what a metric is, beside its name: other systems make their names for it of all three.
type Instrument struct {
	Unit string // UCUM, as in OTLP
	Kind MetricKind
}

// Instruments are the metrics that this project emits, by name. MetricThreshold… are in the unit of the source metric, which
// AttrSourceUnit says.
var Instruments = map[string]Instrument{
	MetricState:               {Unit: UnitState},
	MetricExplore:             {Unit: UnitState},
	MetricEpisodes:            {Unit: "{episode}", Kind: Sum},
	MetricOpenCount:           {Unit: "{episode}"},
	MetricOpenAge:             {Unit: "s"},
	MetricVerdicts:            {Unit: "{verdict}", Kind: UpDownSum},
	MetricFalsePositiveRatio:  {Unit: "1"},
	MetricFalsePositiveLower:  {Unit: "1"},
	MetricFalsePositiveUpper:  {Unit: "1"},
	MetricPrecision:           {Unit: "1"},
	MetricVerdictCoverage:     {Unit: "1"},
	MetricRecall:              {Unit: "1"},
	MetricTransientRatio:      {Unit: "1"},
	MetricFlappingRatio:       {Unit: "1"},
	MetricUnacknowledgedRatio: {Unit: "1"},
	MetricBudgetUsed:          {Unit: "1"},
	MetricThresholdCurrent:    {},
	MetricThresholdSuggested:  {},
	MetricSuggestionPrecision: {Unit: "1"},
	MetricSuggestionRecall:    {Unit: "1"},
	MetricSuggestionEpisodes:  {Unit: "{episode}"},
	MetricTimeToNotify:        {Unit: "s", Kind: Distribution},
	MetricTimeToAcknowledge:   {Unit: "s", Kind: Distribution},
	MetricTimeToResolve:       {Unit: "s", Kind: Distribution},
	MetricEscalations:         {Unit: "{step}", Kind: Sum},
}
