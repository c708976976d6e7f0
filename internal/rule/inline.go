package rule

import (
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// maxInlineDepth is far deeper than the schema and keeps a map that contains itself from running for ever.
const maxInlineDepth = 32

// nodeOf makes YAML nodes, without positions, of what the Collector's configuration holds, so that inline groups are
// read by the same code as files.
func nodeOf(value any) (*yaml.Node, error) { return nodeAt(value, 0) }

func nodeAt(value any, depth int) (*yaml.Node, error) {
	if depth > maxInlineDepth {
		return nil, fmt.Errorf("must not be nested deeper than %d levels", maxInlineDepth)
	}
	switch v := value.(type) {
	case nil:
		return scalar("!!null", ""), nil
	case string:
		return scalar("!!str", v), nil
	case bool:
		return scalar("!!bool", strconv.FormatBool(v)), nil
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return scalar("!!int", fmt.Sprint(v)), nil
	case float32:
		return scalar("!!float", formatFloat(float64(v))), nil
	case float64:
		return scalar("!!float", formatFloat(v)), nil
	case []any:
		return listOf(v, depth)
	case []string:
		return listOf(v, depth)
	case []map[string]any:
		return listOf(v, depth)
	case map[string]any:
		return mapOf(v, depth)
	case map[string]string:
		return mapOf(v, depth)
	case map[any]any:
		byName := make(map[string]any, len(v))
		for key, item := range v {
			byName[fmt.Sprint(key)] = item
		}
		return mapOf(byName, depth)
	case *yaml.Node:
		return v, nil
	}
	return nil, fmt.Errorf("must hold strings, numbers, lists and maps (got %T)", value)
}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// formatFloat writes a number as YAML does: infinities and NaN have names of their own.
func formatFloat(v float64) string {
	switch s := strconv.FormatFloat(v, 'g', -1, 64); s {
	case "+Inf":
		return ".inf"
	case "-Inf":
		return "-.inf"
	case "NaN":
		return ".nan"
	default:
		return s
	}
}

func listOf[T any](items []T, depth int) (*yaml.Node, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, item := range items {
		node, err := nodeAt(item, depth+1)
		if err != nil {
			return nil, err
		}
		list.Content = append(list.Content, node)
	}
	return list, nil
}

// mapOf orders by key: errors must not depend on a map's order.
func mapOf[T any](items map[string]T, depth int) (*yaml.Node, error) {
	m := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, key := range sortedKeys(items) {
		node, err := nodeAt(items[key], depth+1)
		if err != nil {
			return nil, err
		}
		m.Content = append(m.Content, scalar("!!str", key), node)
	}
	return m, nil
}
