package calibrationreceiver

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
)

var ignoreTime = metricdatatest.IgnoreTimestamp()

func outcomeOf(how outcome) attribute.Set {
	return attribute.NewSet(attribute.String("outcome", string(how)))
}

func counts(of map[outcome]int64) (points []metricdata.DataPoint[int64]) {
	for how, n := range of {
		if n > 0 {
			points = append(points, metricdata.DataPoint[int64]{Value: n, Attributes: outcomeOf(how)})
		}
	}
	return points
}

func collections(ok, failed, denied int64) []metricdata.DataPoint[int64] {
	return counts(map[outcome]int64{exported: ok, ledgerFailed: failed, refused: denied})
}
