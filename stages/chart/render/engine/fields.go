package engine

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
)

// difference is a place in an object that is not as its type has it.
type difference struct {
	at      []any // keys (string) and indices (int)
	message string
}

// differences compares an object, as encoding/json decodes it, with the Go type of
// its kind. The decoder of Kubernetes stops at the first value of a wrong type,
// and often cannot say where it was; this finds all of them.
func differences(kind schema.GroupVersionKind, object any) []difference {
	into, err := scheme.Scheme.New(kind)
	if err != nil {
		return nil
	}
	var c comparison
	c.compare(reflect.TypeOf(into).Elem(), object, nil)
	return c.found
}

type comparison struct{ found []difference }

func (c *comparison) wrong(at []any, format string, args ...any) {
	c.found = append(c.found, difference{slices.Clone(at), pathOf(at) + " " + fmt.Sprintf(format, args...)})
}

// want says that a value is of another kind than its type.
func (c *comparison) want(what string, value any, at []any) {
	c.wrong(at, "must be %s, is %s", what, kindOfValue(value))
}

func (c *comparison) compare(t reflect.Type, value any, at []any) {
	if value == nil {
		return // null is no value, everywhere
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(unmarshaler) {
		c.decode(t, value, at)
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		fields, ok := value.(map[string]any)
		if !ok {
			c.want("a mapping", value, at)
			return
		}
		types := fieldsOf(t)
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			if field, ok := types[key]; ok {
				c.compare(field, fields[key], append(at, key))
			} else {
				c.wrong(append(at, key), "is not a field of %s%s", ofWhat(at), meant(key, types))
			}
		}
	case reflect.Map:
		fields, ok := value.(map[string]any)
		if !ok {
			c.want("a mapping", value, at)
			return
		}
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			c.compare(t.Elem(), fields[key], append(at, key))
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			c.base64(value, at)
			return
		}
		items, ok := value.([]any)
		if !ok {
			c.want("a list", value, at)
			return
		}
		for i, item := range items {
			c.compare(t.Elem(), item, append(at, i))
		}
	case reflect.Interface:
	default:
		c.scalar(t, value, at)
	}
}

func (c *comparison) scalar(t reflect.Type, value any, at []any) {
	what := map[reflect.Kind]string{
		reflect.String: "a string", reflect.Bool: "a boolean", reflect.Float32: "a number", reflect.Float64: "a number",
	}[t.Kind()]
	if what == "" {
		what = "an integer"
	}
	raw, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(raw, reflect.New(t).Interface())
	}
	if err == nil {
		return
	}
	if _, number := value.(json.Number); number && what == "an integer" {
		c.wrong(at, "must be an integer of at most %d bits", t.Bits())
		return
	}
	c.want(what, value, at)
}

func (c *comparison) base64(value any, at []any) {
	text, ok := value.(string)
	if !ok {
		c.want("a string in base64", value, at)
		return
	}
	if _, err := base64.StdEncoding.DecodeString(text); err != nil {
		c.wrong(at, "must be a string in base64")
	}
}

var (
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
	// forms are what types take that read their own JSON.
	forms = map[reflect.Type]string{
		reflect.TypeFor[resource.Quantity]():  "a quantity, as 500m or 1Gi",
		reflect.TypeFor[intstr.IntOrString](): "an integer or a string",
		reflect.TypeFor[metav1.Time]():        "a time, as 2006-01-02T15:04:05Z",
		reflect.TypeFor[metav1.MicroTime]():   "a time, as 2006-01-02T15:04:05.000000Z",
		reflect.TypeFor[metav1.Duration]():    "a duration, as 1h30m",
	}
)

// decode is for types that read their own JSON.
func (c *comparison) decode(t reflect.Type, value any, at []any) {
	raw, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(raw, reflect.New(t).Interface())
	}
	if err == nil {
		return
	}
	if form := forms[t]; form != "" {
		c.wrong(at, "must be %s", form)
		return
	}
	c.wrong(at, "%s", typeProblem(err.Error()))
}

// fieldsOf are the types of a struct's fields by their names in JSON.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			maps.Copy(fields, fieldsOf(embedded))
		case name != "" && name != "-":
			fields[name] = f.Type
		}
	}
	return fields
}

// meant names the field that a misspelled one may stand for: the same letters in
// another case, or one more or less.
func meant(key string, types map[string]reflect.Type) string {
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if strings.EqualFold(name, key) || strings.EqualFold(name+"s", key) || strings.EqualFold(name, key+"s") {
			return fmt.Sprintf("; did you mean %s?", name)
		}
	}
	return ""
}

func ofWhat(at []any) string {
	if len(at) == 0 {
		return "the resource"
	}
	return pathOf(at)
}

// pathOf prints a place: spec.containers[0].image. A key with a dot is quoted.
func pathOf(at []any) string {
	var b strings.Builder
	for _, step := range at {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		case string:
			if strings.ContainsAny(step, ". []") {
				fmt.Fprintf(&b, "[%q]", step)
				continue
			}
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(step)
		}
	}
	return b.String()
}

// kindOfValue names the kind of a decoded value for people.
func kindOfValue(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	}
	return "something else"
}

// lineOf is the line of a place in a document, or of what it is in; 0 when it
// cannot be found.
func lineOf(text string, at []any) int {
	var document yaml.Node
	if yaml.Unmarshal([]byte(text), &document) != nil || len(document.Content) == 0 {
		return 0
	}
	n := document.Content[0]
	line := n.Line
	for _, step := range at {
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		var next *yaml.Node
		switch step := step.(type) {
		case int:
			if n.Kind == yaml.SequenceNode && step < len(n.Content) {
				next = n.Content[step]
				line = next.Line
			}
		case string:
			for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					next, line = n.Content[i+1], n.Content[i].Line
				}
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return line
}
