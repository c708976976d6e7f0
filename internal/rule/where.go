package rule

// Where is a compiled OTTL data point condition.
type Where struct{}

type templates struct{}
