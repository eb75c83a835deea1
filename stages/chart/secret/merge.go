package secret

import (
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/yaml"
)

// File is a file of encrypted values.
type File struct {
	Name string // for errors
	Data []byte
}

// MergeEncrypted makes one file of several, still encrypted, and needs no key.
// Later files win over earlier ones: mappings are merged at every depth, anything
// else is replaced, lists as a whole, and a null takes away what earlier files
// set. These are the rules by which werf reads secret-values.yaml and then each
// file of --secret-values, in their order.
//
// Each value must have the form of an encrypted one, so that no secret is
// published that somebody forgot to encrypt. The result has its keys sorted,
// no comments, anchors or aliases, and is nil if there is no value at all.
// Mistakes are an *Error or Errors.
func MergeEncrypted(files ...File) ([]byte, error) {
	merged := map[string]any{}
	for _, f := range files {
		values, err := encryptedValues(f)
		if err != nil {
			return nil, err
		}
		overlay(merged, values)
	}
	if len(merged) == 0 {
		return nil, nil
	}
	out, err := yaml.Marshal(merged)
	if err != nil {
		return nil, fmt.Errorf("writing merged secret values: %w", err)
	}
	return out, nil
}

func encryptedValues(f File) (map[string]any, error) {
	document, err := parse(f.Data)
	if err != nil {
		return nil, inFile(f.Name, err)
	}
	if document == nil {
		return nil, nil
	}
	errs := duplicates(document)
	for _, l := range leaves(document) {
		if e := encryptedForm(l); e != nil {
			errs = append(errs, e)
		}
	}
	if err := errs.err(); err != nil {
		return nil, inFile(f.Name, err)
	}
	// The library that reads values.yaml: it resolves aliases, and bounds them.
	var values map[string]any
	if err := yaml.Unmarshal(f.Data, &values); err != nil {
		return nil, &Error{File: f.Name, Message: "the YAML cannot be read as values: its keys are no strings, or its aliases are too many"}
	}
	return values, nil
}

// inFile names the file in errors that do not know it.
func inFile(name string, err error) error {
	switch err := err.(type) {
	case *Error:
		err.File = name
	case Errors:
		for _, e := range err {
			e.File = name
		}
	}
	return err
}

// overlay puts over on top of base and changes base.
func overlay(base, over map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(over)) {
		old, had := base[key]
		if had && over[key] == nil {
			delete(base, key)
			continue
		}
		oldMap, isMap := old.(map[string]any)
		overMap, overIsMap := over[key].(map[string]any)
		if isMap && overIsMap {
			overlay(oldMap, overMap)
			continue
		}
		base[key] = over[key]
	}
}
