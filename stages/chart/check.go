package chart

import (
	"encoding/json"
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"
)

// check refuses what would publish well and then fail, or mislead, on the
// user's cluster.
func (s *Source) check() error {
	checks := []func() error{s.checkSecrets, s.checkExports, s.checkSchema}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// adoptRequirements takes the lock of an apiVersion v1 chart as the one of v2:
// the format is the same. metadata does it for the dependencies themselves.
func (s *Source) adoptRequirements() error {
	lock, ok := s.files[requirementsLock]
	if !ok {
		return nil
	}
	delete(s.files, requirementsLock)
	if _, ok := s.files[lockFile]; ok {
		return s.wrong(requirementsLock, errors.New("the chart has a Chart.lock as well")).advise("keep one of the two")
	}
	s.files[lockFile] = lock
	return nil
}

// checkExports refuses export-values, a key that Helm does not have and would
// silently drop: the sub-chart would render without the values it expects.
func (s *Source) checkExports() error {
	var c struct {
		Dependencies []struct {
			Name    string `json:"name"`
			Exports any    `json:"export-values"`
		} `json:"dependencies"`
	}
	for _, name := range []string{chartFile, requirementsFile} {
		if err := yaml.Unmarshal(s.files[name], &c); err != nil {
			return s.wrong(name, err)
		}
		for _, d := range c.Dependencies {
			if d.Exports != nil {
				return s.wrong(name, fmt.Errorf("export-values of the dependency %q is not supported", d.Name)).
					advise("sub-charts see the images in .Values.global.werf.images")
			}
		}
	}
	return nil
}

// checkSchema refuses a schema that forbids the service values: Helm would
// refuse the published chart each time it is used.
func (s *Source) checkSchema() error {
	data, ok := s.files[schemaFile]
	if !ok {
		return nil
	}
	var schema struct {
		Properties map[string]any `json:"properties"`
		Patterns   map[string]any `json:"patternProperties"`
		Additional any            `json:"additionalProperties"`
	}
	if !json.Valid(data) {
		return s.wrong(schemaFile, errors.New("not valid JSON"))
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		return s.wrong(schemaFile, err)
	}
	if schema.Additional != false || schema.Patterns != nil {
		return nil
	}
	for _, key := range []string{"werf", "global"} {
		if schema.Properties[key] == nil {
			return s.wrong(schemaFile, fmt.Errorf("the schema forbids .Values.%s, where the images are named", key)).
				advise(`add to "properties": %q: {"type": "object"}`, key)
		}
	}
	return nil
}
