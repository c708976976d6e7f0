package sqlstore

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// nanos is how a time is stored: nanoseconds since 1970, 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// timeAt reads a stored time into t.
type timeAt struct{ t *time.Time }

func (s timeAt) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as %T, not as an integer", src)
	}
	*s.t = fromNanos(n)
	return nil
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// notANumber stands for NaN, which SQLite would turn into NULL: no value at all.
const notANumber = "NaN"

// number stores a float that may be missing or not a number.
type number struct{ f *float64 }

func (n number) Value() (driver.Value, error) {
	switch {
	case n.f == nil:
		return nil, nil
	case math.IsNaN(*n.f):
		return notANumber, nil
	default:
		return *n.f, nil
	}
}

// numberAt reads a stored float into f.
type numberAt struct{ f **float64 }

func (s numberAt) Scan(src any) error {
	var f float64
	switch v := src.(type) {
	case nil:
		*s.f = nil
		return nil
	case float64:
		f = v
	case int64:
		f = float64(v)
	case string:
		if v != notANumber {
			return fmt.Errorf("%q is not a number", v)
		}
		f = math.NaN()
	default:
		return fmt.Errorf("a number is stored as %T", src)
	}
	*s.f = &f
	return nil
}

// document stores a map or a list as JSON; nil and empty are told apart.
type document[T any] struct{ v T }

func (d document[T]) Value() (driver.Value, error) {
	raw, err := json.Marshal(d.v)
	return string(raw), err
}

// documentAt reads a stored map or list into v.
type documentAt[T any] struct{ v *T }

func (d documentAt[T]) Scan(src any) error {
	var raw []byte
	switch v := src.(type) {
	case string:
		raw = []byte(v)
	case []byte:
		raw = v
	default:
		return fmt.Errorf("a document is stored as %T", src)
	}
	if string(raw) == "null" {
		var none T
		*d.v = none
		return nil
	}
	return json.Unmarshal(raw, d.v)
}
