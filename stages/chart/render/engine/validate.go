package engine

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slipway/stages/chart/render/wire"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// Validate checks manifests against the types of Kubernetes' libraries, as
// strictly as a server that is asked to: fields that do not exist, values of the
// wrong type, keys that are there twice, kinds that do not exist. Resources of
// groups that are not Kubernetes' own cannot be checked: unchecked are their
// versions and kinds, sorted.
func Validate(manifests []wire.Manifest) (problems []*wire.Problem, unchecked []string) {
	v := &validation{}
	for _, m := range manifests {
		for _, document := range wire.Documents(m.Content) {
			v.document(m.Path, document)
		}
	}
	slices.Sort(v.unchecked)
	return v.problems, slices.Compact(v.unchecked)
}

type validation struct {
	problems  []*wire.Problem
	unchecked []string
}

// strict is what Kubernetes itself decodes with.
var strict = json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Strict: true})

func (v *validation) document(path, text string) {
	raw, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		line, message := yamlProblem(err)
		v.problems = append(v.problems, &wire.Problem{Path: path, Resource: nameOf(text), Line: line, Message: message})
		return
	}
	v.object(path, text, raw, nil)
}

// object checks one object; at is its place in the document.
func (v *validation) object(path, text string, raw []byte, at []any) {
	var object any
	d := stdjson.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&object); err != nil || object == nil {
		return // an empty document; other errors are not possible, it was just made
	}
	resource := resourceOf(object)
	wrong := func(at []any, message string) {
		v.problems = append(v.problems, &wire.Problem{Path: path, Resource: resource, Line: lineOf(text, at), Message: message})
	}
	fields, ok := object.(map[string]any)
	if !ok {
		wrong(at, "a resource must be a mapping, this is "+kindOfValue(object))
		return
	}
	for _, key := range []string{"apiVersion", "kind"} {
		if s, ok := fields[key].(string); !ok || s == "" {
			wrong(at, key+" is missing, or not a string")
			return
		}
	}
	kind := schema.FromAPIVersionAndKind(fields["apiVersion"].(string), fields["kind"].(string))
	if strings.Count(fields["apiVersion"].(string), "/") > 1 {
		wrong(at, "apiVersion must be VERSION or GROUP/VERSION")
		return
	}
	switch {
	case !scheme.Scheme.IsGroupRegistered(kind.Group):
		v.unchecked = append(v.unchecked, fields["apiVersion"].(string)+" "+kind.Kind)
		return
	case !scheme.Scheme.Recognizes(kind):
		wrong(at, unknownKind(kind))
		return
	}
	if _, _, err := strict.Decode(raw, nil, nil); err != nil {
		found := differences(kind, object)
		for _, d := range found {
			wrong(append(slices.Clone(at), d.at...), d.message)
		}
		if len(found) == 0 { // only a decoder knows what is wrong
			wrong(at, typeProblem(err.Error()))
		}
		return
	}
	// The items of a list can be anything, and are resources.
	if items, ok := fields["items"].([]any); ok && kind.GroupVersion() == (schema.GroupVersion{Version: "v1"}) && kind.Kind == "List" {
		for i, item := range items {
			if raw, err := stdjson.Marshal(item); err == nil {
				v.object(path, text, raw, append(slices.Clone(at), "items", i))
			}
		}
	}
}

// unknownKind says where a kind is to be found instead.
func unknownKind(kind schema.GroupVersionKind) string {
	message := fmt.Sprintf("there is no kind %s in %s", kind.Kind, kind.GroupVersion())
	var others []string
	for _, gv := range scheme.Scheme.VersionsForGroupKind(kind.GroupKind()) {
		others = append(others, gv.String())
	}
	if len(others) == 0 { // it may have moved
		for known := range scheme.Scheme.AllKnownTypes() {
			if known.Kind == kind.Kind && known.Version != "__internal" {
				others = append(others, known.GroupVersion().String())
			}
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		message += "; there is one in " + strings.Join(slices.Compact(others), ", ")
	}
	return message
}

// resourceOf names an object: Deployment web.
func resourceOf(object any) string {
	fields, _ := object.(map[string]any)
	meta, _ := fields["metadata"].(map[string]any)
	var words []string
	for _, word := range []any{fields["kind"], meta["name"]} {
		if s, ok := word.(string); ok && s != "" {
			words = append(words, s)
		}
	}
	return strings.Join(words, " ")
}

// nameOf is resourceOf for a text that is not quite right.
func nameOf(text string) string {
	var object any
	if yaml.Unmarshal([]byte(text), &object) != nil {
		return ""
	}
	return resourceOf(object)
}

var (
	yamlDetail = regexp.MustCompile(`line (\d+): (.*)`)
	alreadySet = regexp.MustCompile(`^key (".*?") already set in map$`)
	goType     = regexp.MustCompile(`json: cannot unmarshal (\w+) into Go (?:struct field \w+\.(\S+)|value) of type (\S+)`)
)

// yamlProblem is what the YAML library says, and the line.
func yamlProblem(err error) (line int, message string) {
	m := yamlDetail.FindStringSubmatch(err.Error())
	if m == nil {
		return 0, strings.TrimPrefix(wire.Plain(err.Error()), "yaml: ")
	}
	fmt.Sscan(m[1], &line)
	message = m[2]
	if key := alreadySet.FindStringSubmatch(message); key != nil {
		message = "the key " + key[1] + " is there twice"
	}
	return line, message
}

// typeProblem takes Go's terms out of what a decoder says.
func typeProblem(text string) string {
	m := goType.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	message := fmt.Sprintf("must be %s, is %s", m[3], m[1])
	if m[2] != "" {
		message = m[2] + " " + message
	}
	return message
}
