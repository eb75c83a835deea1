package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"slipway/stages/buildkit/remote"
	"slipway/stages/chart/render"
	"slipway/stages/chart/render/engine"

	"github.com/moby/buildkit/cmd/buildkitd/config"
	"gopkg.in/yaml.v3"
)

// resource is what this test reads of the example.
type resource struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Data     map[string]string
	Spec     struct {
		Replicas    int
		ServiceName string `yaml:"serviceName"`
		Ports       []struct{ Port int }
		Template    struct {
			Spec struct {
				Containers []struct {
					Args []string
					Env  []struct{ Name, Value string }
				}
			}
		}
	}
}

// The example of docs/scaling.md is what Kubernetes takes, its builders are those
// that it starts, and every address in the text is one.
func TestScalingExample(t *testing.T) {
	t.Parallel()
	resources := map[string]resource{}
	for _, name := range []string{"buildkitd.yaml", "ci-job.yaml"} {
		text, err := os.ReadFile("../../docs/examples/kubernetes/" + name)
		if err != nil {
			t.Fatal(err)
		}
		problems, unchecked := engine.Validate([]render.Manifest{{Path: name, Content: string(text)}})
		for _, p := range problems {
			t.Errorf("%+v", *p)
		}
		if len(unchecked) > 0 {
			t.Errorf("not checked: %v", unchecked)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var r resource
			if err := yaml.Unmarshal([]byte(document), &r); err != nil {
				t.Fatal(err)
			}
			resources[r.Kind] = r
		}
	}
	set, service, job := resources["StatefulSet"], resources["Service"], resources["Job"]
	if _, err := config.Load(strings.NewReader(resources["ConfigMap"].Data["buildkitd.toml"])); err != nil {
		t.Errorf("buildkitd.toml: %v", err)
	}
	if set.Spec.ServiceName != service.Metadata.Name || len(service.Spec.Ports) != 1 {
		t.Fatalf("the set is served by %q, the service is %+v", set.Spec.ServiceName, service)
	}
	var builders []string
	for _, env := range job.Spec.Template.Spec.Containers[0].Env {
		if strings.HasPrefix(env.Name, "WERF_BUILDER_") {
			a, err := remote.ParseAddress(env.Value)
			if err != nil {
				t.Errorf("%s: %v", env.Name, err)
			}
			builders = append(builders, a.Name)
		}
	}
	var want []string
	for i := range set.Spec.Replicas {
		want = append(want, fmt.Sprintf("tcp://%s-%d.%s.%s.svc:%d", set.Metadata.Name, i, service.Metadata.Name, service.Metadata.Namespace, service.Spec.Ports[0].Port))
	}
	if len(want) == 0 || fmt.Sprint(builders) != fmt.Sprint(want) {
		t.Errorf("the job uses %v, the set has %v", builders, want)
	}

	text, err := os.ReadFile("../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, address := range regexp.MustCompile(`(unix|tcp|docker-container|kube-pod)://[^\s`+"`"+`]+`).FindAllString(string(text), -1) {
		address = strings.NewReplacer("PORT", "1234", "POD", "pod").Replace(address)
		found++
		if _, err := remote.ParseAddress(address); err != nil {
			t.Errorf("%v", err)
		}
	}
	if found < 8 {
		t.Errorf("%d addresses found", found)
	}
	for _, link := range regexp.MustCompile(`\]\((examples/[^)]+)\)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat("../../docs/" + link[1]); err != nil {
			t.Error(err)
		}
	}
}
