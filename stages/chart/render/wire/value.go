package wire

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// value is a value of a chart with its Go type.
type value struct {
	Kind   kind
	Text   string
	Number int64
	Float  float64
	Keys   []string // of a mapping, sorted; List has what they stand for
	List   []value
}

type kind int

const (
	null kind = iota
	truth
	falsehood
	text
	number // json.Number
	integer
	float
	list
	mapping
	nilList    // is not an empty one: toJson tells them apart
	nilMapping // so it does here
)

// encode takes what strvals and readers of YAML and JSON make.
func encode(v any) (value, error) {
	switch v := v.(type) {
	case nil:
		return value{}, nil
	case bool:
		if v {
			return value{Kind: truth}, nil
		}
		return value{Kind: falsehood}, nil
	case string:
		return value{Kind: text, Text: v}, nil
	case json.Number:
		return value{Kind: number, Text: string(v)}, nil
	case int64:
		return value{Kind: integer, Number: v}, nil
	case float64:
		return value{Kind: float, Float: v}, nil
	case []any:
		if v == nil {
			return value{Kind: nilList}, nil
		}
		return encodeAll(value{Kind: list}, slices.Values(v))
	case map[string]any:
		if v == nil {
			return value{Kind: nilMapping}, nil
		}
		keys := slices.Sorted(maps.Keys(v))
		return encodeAll(value{Kind: mapping, Keys: keys}, func(yield func(any) bool) {
			for _, key := range keys {
				if !yield(v[key]) {
					return
				}
			}
		})
	}
	return value{}, fmt.Errorf("%T cannot be one", v)
}

func encodeAll(into value, items func(yield func(any) bool)) (value, error) {
	for item := range items {
		encoded, err := encode(item)
		if err != nil {
			return value{}, err
		}
		into.List = append(into.List, encoded)
	}
	return into, nil
}

func (v value) decode() any {
	switch v.Kind {
	case truth:
		return true
	case falsehood:
		return false
	case text:
		return v.Text
	case number:
		return json.Number(v.Text)
	case integer:
		return v.Number
	case float:
		return v.Float
	case list:
		out := make([]any, len(v.List))
		for i, item := range v.List {
			out[i] = item.decode()
		}
		return out
	case mapping:
		out := make(map[string]any, len(v.Keys))
		for i, key := range v.Keys {
			out[key] = v.List[i].decode()
		}
		return out
	case nilList:
		return []any(nil)
	case nilMapping:
		return map[string]any(nil)
	}
	return nil
}
