package planner

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"slipway/planner/werfyaml"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// editConfig is what an imageSpec does to the config of the finished image, and
// what stands for it in the key. Both are empty where there is nothing to do.
func editConfig(spec *werfyaml.ImageSpec) (edit func([]byte) ([]byte, error), key string, err error) {
	if spec == nil {
		return nil, "", nil
	}
	// Patterns have no exported fields: their texts stand for them.
	text, err := json.Marshal(struct {
		werfyaml.ImageSpec
		RemoveEnv, RemoveLabels []string
	}{*spec, texts(spec.RemoveEnv), texts(spec.RemoveLabels)})
	if err != nil {
		return nil, "", err
	}
	return func(config []byte) ([]byte, error) {
		var img dockerspec.DockerOCIImage
		if err := json.Unmarshal(config, &img); err != nil {
			return nil, fmt.Errorf("reading the image config: %w", err)
		}
		applySpec(&img, spec)
		return json.Marshal(img)
	}, string(text), nil
}

func texts(patterns []werfyaml.Pattern) []string {
	var out []string
	for _, p := range patterns {
		out = append(out, p.String())
	}
	return out
}

// applySpec clears, then removes, then sets.
func applySpec(img *dockerspec.DockerOCIImage, spec *werfyaml.ImageSpec) {
	c := &img.Config
	if spec.ClearCmd {
		c.Cmd = nil
	}
	if spec.ClearEntrypoint {
		c.Entrypoint = nil
	}
	if spec.ClearUser {
		c.User = ""
	}
	if spec.ClearWorkingDir {
		c.WorkingDir = ""
	}
	if spec.ClearHistory {
		img.History = nil
	}
	matches := func(patterns []werfyaml.Pattern, name string) bool {
		return slices.ContainsFunc(patterns, func(p werfyaml.Pattern) bool { return p.Match(name) })
	}
	c.Env = slices.DeleteFunc(c.Env, func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return matches(spec.RemoveEnv, name)
	})
	maps.DeleteFunc(c.Labels, func(name, _ string) bool { return matches(spec.RemoveLabels, name) })
	for _, v := range spec.RemoveVolumes {
		delete(c.Volumes, v)
	}

	if spec.Author != "" {
		img.Author = spec.Author
	}
	if spec.Cmd != nil {
		c.Cmd = spec.Cmd
	}
	if spec.Entrypoint != nil {
		c.Entrypoint = spec.Entrypoint
	}
	c.Env = setEnv(c.Env, spec.Env)
	c.ExposedPorts = add(c.ExposedPorts, spec.Expose)
	c.Volumes = add(c.Volumes, spec.Volumes)
	if len(spec.Labels) > 0 && c.Labels == nil {
		c.Labels = map[string]string{}
	}
	maps.Copy(c.Labels, spec.Labels)
	if spec.StopSignal != "" {
		c.StopSignal = spec.StopSignal
	}
	if spec.User != "" {
		c.User = spec.User
	}
	if spec.WorkingDir != "" {
		c.WorkingDir = spec.WorkingDir
	}
	if h := spec.Healthcheck; h != nil {
		c.Healthcheck = &dockerspec.HealthcheckConfig{
			Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries,
		}
	}
}

// setEnv sets variables, ${NAME} in a value being what the image had before.
func setEnv(env []string, set map[string]string) []string {
	before := map[string]string{}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		before[name] = value
	}
	out := slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		_, replaced := set[name]
		return replaced
	})
	for _, name := range slices.Sorted(maps.Keys(set)) {
		out = append(out, name+"="+os.Expand(set[name], func(v string) string { return before[v] }))
	}
	return out
}

func add(set map[string]struct{}, items []string) map[string]struct{} {
	if len(items) > 0 && set == nil {
		set = map[string]struct{}{}
	}
	for _, item := range items {
		set[item] = struct{}{}
	}
	return set
}
