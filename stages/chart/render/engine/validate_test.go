package engine

import (
	"slices"
	"strings"
	"testing"

	"slipway/stages/chart/render/wire"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {a: "true"}}
spec:
  selector: {matchLabels: {a: b}}
  template:
    spec:
      containers:
      - name: web
        image: web:1
        ports: [{containerPort: 80}]
        resources: {limits: {cpu: 500m, memory: 1Gi}}
        livenessProbe: {httpGet: {port: http}}
`

func TestValidate(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"right", deployment, ""},
		{"nothing", "# a comment\n", ""},
		{"null fields", "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: }\nspec: {ports: null}\n", ""},
		{"CRD", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {group: g, versions: [{name: v1, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {default: 1, enum: [1, x]}}}}}]}\n", ""},
		{"unknown field", strings.Replace(deployment, "image:", "imag:", 1),
			"Deployment web: spec.template.spec.containers[0].imag is not a field of spec.template.spec.containers[0] (line 10 of what is rendered)"},
		{"another case", strings.Replace(deployment, "containerPort", "containerport", 1),
			"Deployment web: spec.template.spec.containers[0].ports[0].containerport is not a field of spec.template.spec.containers[0].ports[0]; did you mean containerPort? (line 11 of what is rendered)"},
		{"at the top", deployment + "replicas: 3\n", "Deployment web: replicas is not a field of the resource (line 14 of what is rendered)"},
		{"wrong types, all of them", strings.NewReplacer(`"true"`, "true", "cpu: 500m", "cpu: lots", "containerPort: 80", "containerPort: '80'").Replace(deployment),
			"Deployment web: metadata.annotations.a must be a string, is a boolean (line 3 of what is rendered)\n" +
				"Deployment web: spec.template.spec.containers[0].ports[0].containerPort must be an integer, is a string (line 11 of what is rendered)\n" +
				"Deployment web: spec.template.spec.containers[0].resources.limits.cpu must be a quantity, as 500m or 1Gi (line 12 of what is rendered)"},
		{"YAML 1.1's booleans", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: yes\n  b.c: 1\n",
			"ConfigMap a: data.a must be a string, is a boolean (line 5 of what is rendered)\nConfigMap a: data[\"b.c\"] must be a string, is a number (line 6 of what is rendered)"},
		{"a list for a mapping", "apiVersion: v1\nkind: Service\nmetadata: []\nspec: {ports: {}, clusterIPs: x}\n",
			"Service: metadata must be a mapping, is a list (line 3 of what is rendered)\nService: spec.clusterIPs must be a list, is a string (line 4 of what is rendered)\nService: spec.ports must be a list, is a mapping (line 4 of what is rendered)"},
		{"number too large", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 99999999999, minReadySeconds: 1.5}\n",
			"Deployment a: spec.minReadySeconds must be an integer of at most 32 bits (line 4 of what is rendered)\nDeployment a: spec.replicas must be an integer of at most 32 bits (line 4 of what is rendered)"},
		{"base64", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {p: 'hunter2!', q: aHVudGVyMg==, r: 1}\n",
			"Secret a: data.p must be a string in base64 (line 4 of what is rendered)\nSecret a: data.r must be a string in base64, is a number (line 4 of what is rendered)"},
		{"time", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, creationTimestamp: hunter2}\n", "Pod a: metadata.creationTimestamp must be a time, as 2006-01-02T15:04:05Z (line 3 of what is rendered)"},
		{"duplicates", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  hostNetwork: true\n  hostNetwork: false\n", "Pod a: the key \"hostNetwork\" is there twice (line 6 of what is rendered)"},
		{"not YAML", "kind: [\n", "did not find expected node content (line 1 of what is rendered)"},
		{"no apiVersion", "kind: Pod\nmetadata: {name: a}\n", "Pod a: apiVersion is missing, or not a string (line 1 of what is rendered)"},
		{"no kind", "apiVersion: v1\nmetadata: {name: a}\n", "a: kind is missing, or not a string (line 1 of what is rendered)"},
		{"kind of another type", "apiVersion: v1\nkind: 1\n", "kind is missing, or not a string (line 1 of what is rendered)"},
		{"no resource", "- a\n", "a resource must be a mapping, this is a list (line 1 of what is rendered)"},
		{"apiVersion of three", "apiVersion: a/b/c\nkind: X\n", "X: apiVersion must be VERSION or GROUP/VERSION (line 1 of what is rendered)"},
		{"unknown kind", "apiVersion: v1\nkind: Pood\n", "Pood: there is no kind Pood in v1 (line 1 of what is rendered)"},
		{"of another group", "apiVersion: v1\nkind: Deployment\nmetadata: {name: a}\n", "Deployment a: there is no kind Deployment in v1; there is one in apps/v1, apps/v1beta1, apps/v1beta2, extensions/v1beta1 (line 1 of what is rendered)"},
		{"of another version", "apiVersion: batch/v2\nkind: Job\n", "Job: there is no kind Job in batch/v2; there is one in batch/v1 (line 1 of what is rendered)"},
		{"lists", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: ok}}\n- apiVersion: v1\n  kind: Pod\n  metadata: {nam: a}\n- {apiVersion: example.org/v1, kind: Foo}\n",
			"Pod: metadata.nam is not a field of metadata (line 7 of what is rendered)\nunchecked example.org/v1 Foo"},
		{"custom", "apiVersion: example.org/v1\nkind: Foo\nanything: goes\n", "unchecked example.org/v1 Foo"},
		{"several documents", deployment + "---\nkind: Foo\napiVersion: b.org/v1\n---\nkind: Foo\napiVersion: b.org/v1\n---\napiVersion: v1\nkind: Pod\nspec: x\n", "Pod: spec must be a mapping, is a string (line 3 of what is rendered)\nunchecked b.org/v1 Foo"},
		{"aliases", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: &l {a: b}, annotations: *l}\nspec: &s {containers: *s}\n", "anchor 's' value contains itself"},
	} {
		t.Run(test.name, func(t *testing.T) {
			problems, unchecked := Validate([]wire.Manifest{{Path: "app/templates/a.yaml", Content: test.text}})
			var got []string
			for _, p := range problems {
				text, ok := strings.CutPrefix(p.Error(), "app/templates/a.yaml: ")
				if !ok {
					t.Errorf("%s does not name the template", p)
				}
				got = append(got, text)
			}
			for _, kind := range unchecked {
				got = append(got, "unchecked "+kind)
			}
			if text := strings.Join(got, "\n"); text != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", text, test.want)
			}
			if strings.Contains(strings.Join(got, ""), "hunter2") {
				t.Error("a value is told")
			}
		})
	}
}

// Everything that a comparison finds wrong, Kubernetes finds wrong, or else it is
// not asked; what Kubernetes alone finds is told in its words.
func TestDecoderAlone(t *testing.T) {
	text := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {versions: [{schema: {openAPIV3Schema: {typo: object}}}]}\n"
	problems, _ := Validate([]wire.Manifest{{Path: "a", Content: text}})
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "typo") {
		t.Errorf("got %v", problems)
	}
}

func FuzzValidate(f *testing.F) {
	f.Add(deployment)
	f.Add("apiVersion: v1\nkind: List\nitems: [{}, 1, null, [x]]\n")
	f.Add("apiVersion: v1\nkind: Pod\nmetadata: &a {<<: *a}\n")
	f.Add("? [a]\n: b\n---\n1: 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		problems, _ := Validate([]wire.Manifest{{Path: "a", Content: text}})
		if slices.ContainsFunc(problems, func(p *wire.Problem) bool { return p.Message == "" }) {
			t.Error("a problem without a message")
		}
	})
}
