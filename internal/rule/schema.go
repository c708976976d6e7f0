package rule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/prometheus/common/model"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Schema is the JSON Schema (draft 2020-12) of a rule file, for editors. Its keys are those that rule files are read by;
// what only reading a file can find, such as PromQL that does not parse, is not in it.
func Schema() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(schemaOfFile())
	return b.Bytes(), err
}

type schema = map[string]any

func schemaOfFile() schema {
	return schema{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "Rule file of the threshold processor",
		"description":          "A Prometheus rule file, with keys for tiers, owners and missing data.",
		"type":                 []string{"object", "null"},
		"additionalProperties": false,
		"properties": schema{
			"groups": schema{"type": []string{"array", "null"}, "items": schema{"$ref": "#/$defs/group"}, "description": "Groups of rules. Their names are unique in the file."},
		},
		"$defs": schema{
			"group":     schemaOfGroup(),
			"rule":      schemaOfRule(),
			"threshold": schemaOfThreshold(),
			"tiers":     schemaOfTiers(),
			"no_data":   schemaOfNoData(),
			"duration":  schemaOfDuration(),
			"strings":   schema{"type": []string{"object", "null"}, "additionalProperties": schema{"type": []string{"string", "number", "boolean", "null"}}},
			"labels": schema{
				"$ref": "#/$defs/strings",
				"propertyNames": schema{"not": schema{"anyOf": []schema{
					{"pattern": `^alert\.`}, {"enum": []string{model.MetricNameLabel, alert.LabelName, alert.LabelAlertID, alert.LabelEpisodeID}},
				}}},
			},
			"name":        schema{"type": []string{"string", "number", "boolean"}, "minLength": 1, "maxLength": maxName},
			"description": schema{"type": []string{"string", "number", "boolean"}, "minLength": 1},
		},
	}
}

// object is a mapping with exactly these keys.
func object(keys []string, properties map[string]schema) schema {
	all := schema{}
	for _, key := range keys {
		p, ok := properties[key]
		if !ok {
			panic(fmt.Sprintf("the schema says nothing about %s", key)) // a test calls this
		}
		all[key] = p
	}
	return schema{"type": "object", "properties": all, "additionalProperties": false}
}

func ref(name, description string) schema {
	return schema{"$ref": "#/$defs/" + name, "description": description}
}

// optionalDuration may be left empty, which is as if its key were not there.
func optionalDuration(description string) schema {
	return schema{"anyOf": []schema{{"$ref": "#/$defs/duration"}, {"type": "null"}}, "description": description}
}

func schemaOfGroup() schema {
	s := object(groupKeys, map[string]schema{
		"name":         ref("name", "Part of every alert's identity."),
		"interval":     optionalDuration("How often expr rules are evaluated; the processor's evaluation_interval where it is absent or 0."),
		"query_offset": optionalDuration("How far back from the evaluation queries look, for data that come late."),
		"limit":        {"type": []string{"integer", "null"}, "minimum": 0, "description": "How many alerts, or recorded series, one rule may have; 0 is no limit. What fires is kept."},
		"labels":       ref("labels", "Labels of all rules of the group; a rule's own win."),
		"rules":        {"type": []string{"array", "null"}, "items": schema{"$ref": "#/$defs/rule"}, "description": "Evaluated in order."},
	})
	s["required"] = []string{"name"}
	return s
}

func schemaOfRule() schema {
	s := object(ruleKeys, map[string]schema{
		"record":              ref("name", "Name of the series that a recording rule writes."),
		"alert":               ref("name", "Name of the alert."),
		"metric":              {"type": "string", "minLength": 1, "maxLength": maxName, "pattern": `^[^{}()\[\] \t\n]+$`, "description": "OTLP metric name: every data point is checked as it passes."},
		"where":               {"type": "string", "minLength": 1, "description": "OTTL condition on a data point; one that it rejects is not seen by the rule."},
		"expr":                {"type": []string{"string", "number"}, "minLength": 1, "maxLength": maxExpr, "description": "PromQL. Without tiers the rule is a plain Prometheus rule."},
		"tiers":               ref("tiers", "Thresholds by severity. The alert's severity is its highest active tier."),
		"for":                 optionalDuration("How long a plain rule's condition must hold. With tiers it stands with each threshold."),
		"keep_firing_for":     optionalDuration("How long the alert goes on firing after its condition has ended."),
		"no_data":             ref("no_data", "What is concluded when the data stop."),
		"warm_up":             optionalDuration("How long a new series is not judged."),
		"owner":               {"$ref": "#/$defs/name", "not": schema{"pattern": `\{\{`}, "description": "Who answers for the alert: a key of the exporter's owners. No template."},
		"response":            ref("description", "The owner's first action. No template."),
		"labels":              ref("labels", "Labels of the alert, or of the recorded series. Those of an alert are templates."),
		"annotations":         ref("strings", "Texts of the alert, as templates: summary, description, runbook_url."),
		"rollback":            ref("threshold", "Condition at which the deployment system is asked to roll back, while the alert fires."),
		"manual_intervention": ref("threshold", "Condition past which a person decides before anything automatic happens."),
		"explore":             {"type": "string", "pattern": `^ *(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?) *% *$`, "description": "How far the silent track lies on the lax side of every threshold: 20% of it, or of a band's width."},
	})
	forbid := func(keys ...string) schema {
		none := schema{}
		for _, key := range keys {
			none[key] = false
		}
		return schema{"properties": none}
	}
	has := func(keys ...string) schema { return schema{"required": keys} }
	noRecording := slices.DeleteFunc(slices.Clone(ruleKeys), func(key string) bool { return slices.Contains(recordingKeys, key) })
	s["oneOf"] = []schema{has("alert"), has("record")}
	s["allOf"] = []schema{
		{"if": has("record"), "then": schema{"required": []string{"expr"}, "properties": nullOnly(noRecording)}, "else": schema{"anyOf": []schema{has("metric"), has("expr")}}},
		{"if": has("metric"), "then": schema{"required": []string{"tiers"}, "properties": forbid("expr", "for")["properties"]}},
		{"if": has("expr"), "then": forbid("where")},
		{"if": has("expr", "tiers"), "then": schema{"properties": nullOnly([]string{"for"})}},
	}
	return s
}

// nullOnly lets keys stand without a value, as Prometheus does with keys that do not belong there.
func nullOnly(keys []string) schema {
	all := schema{}
	for _, key := range keys {
		all[key] = schema{"type": "null"}
	}
	return all
}

func schemaOfThreshold() schema {
	number := func(description string) schema { return schema{"type": "number", "description": description} }
	pair := schema{"type": "array", "items": schema{"type": "number"}, "minItems": 2, "maxItems": 2, "description": "[low, high]: less than low or more than high."}
	s := object(thresholdKeys, map[string]schema{
		"above":    number("More than this."),
		"at_least": number("This or more."),
		"below":    number("Less than this."),
		"at_most":  number("This or less."),
		"outside":  pair,
		"for":      ref("duration", "How long the condition must hold."),
		"clear": {
			"anyOf":       []schema{{"type": "number"}, {"type": "array", "items": schema{"type": "number"}, "minItems": 2, "maxItems": 2}},
			"description": "The value that ends the condition, on its healthy side; a pair for outside. The threshold itself where it is absent.",
		},
	})
	var one []schema
	for _, op := range opNames {
		one = append(one, schema{"required": []string{op}})
	}
	s["oneOf"] = one
	s["if"] = schema{"required": []string{"outside"}}
	s["then"] = schema{"properties": schema{"clear": schema{"type": "array"}}}
	s["else"] = schema{"properties": schema{"clear": schema{"type": "number"}}}
	return s
}

func schemaOfTiers() schema {
	tiers := schema{}
	for _, severity := range alert.Severities {
		tiers[severity.String()] = schema{"$ref": "#/$defs/threshold"}
	}
	return schema{"type": "object", "properties": tiers, "additionalProperties": false, "minProperties": 1}
}

func schemaOfNoData() schema {
	var severities []string
	for _, severity := range alert.Severities {
		severities = append(severities, severity.String())
	}
	form := object(noDataKeys, map[string]schema{
		"after":    ref("duration", "How long the data must be missing before the alert is raised."),
		"tier":     {"enum": severities, "description": "The severity that it is raised to, at least."},
		"hold_for": ref("duration", "How long a firing alert outlives its data; 1h where it is absent."),
	})
	form["minProperties"] = 1
	form["dependentRequired"] = map[string][]string{"after": {"tier"}, "tier": {"after"}}
	return schema{"anyOf": []schema{{"enum": []string{"hold", "resolve"}}, form}}
}

// schemaOfDuration is Prometheus' syntax for durations.
func schemaOfDuration() schema {
	return schema{"anyOf": []schema{
		{
			"type": "string", "minLength": 1, "examples": []string{"30s", "5m", "1h30m"},
			"pattern": "^(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?$",
		},
		{"enum": []any{"0", 0}},
	}}
}
