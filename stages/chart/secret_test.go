package chart

import (
	"strings"
	"testing"
)

// Encrypted values are merged as they are written: many a hexadecimal text looks
// like a number to YAML.
func TestSecretValues(t *testing.T) {
	own := "# ours\na: 1000052e30\nb: {c: \"10\", d: 1000}\nlist: [\"10\", \"20\"]\n"
	files := []File{
		{Name: "one.yaml", Data: []byte("b: {d: 2e40, e: \"30\"}\nlist: [\"40\"]\n")},
		{Name: "two.yaml", Data: []byte("# nothing\n")}, {Name: "three.yaml", Data: []byte("new: 1e05\nb: {e: 00}\n")},
	}
	for name, test := range map[string]struct {
		own    string
		values Values
		want   string // "" is no file
	}{
		"none":             {"", Values{}, ""},
		"the chart's":      {own, Values{}, "# ours\na: 1000052e30\nb: {c: \"10\", d: 1000}\nlist: [\"10\", \"20\"]\n"},
		"merged":           {own, Values{SecretFiles: files}, "# ours\na: 1000052e30\nb: {c: \"10\", d: 2e40, e: 00}\nlist: [\"40\"]\nnew: 1e05\n"},
		"only those given": {own, Values{SecretFiles: files[2:], NoDefaultSecrets: true}, "new: 1e05\nb: {e: 00}\n"},
		"left out":         {own, Values{NoDefaultSecrets: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			chart := map[string]string{"templates/a.yaml": "", "secret/tls/key.pem": "100088\n"}
			if test.own != "" {
				chart["secret-values.yaml"] = test.own
			}
			s, err := Load(t.Context(), tree(chart), ".helm", LoadOptions{Values: test.values})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(s.files["secret-values.yaml"]); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			if got := string(s.files["secret/tls/key.pem"]); got != "100088\n" {
				t.Errorf("the secret file is %q", got)
			}
			if got := s.NeedsSecrets(); (got != "") != (test.want != "") {
				t.Errorf("NeedsSecrets() = %q", got)
			}
			mustHelm(t, "template", "r", save(t, pack(t, s, options))) // takes no notice
		})
	}
}

func TestNeedsSecrets(t *testing.T) {
	sub := "name: s\nversion: 1.0.0\n"
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"function":                {map[string]string{"templates/a.yaml": `x: {{ werf_secret_file "key.pem" | b64enc }}`}, "templates/a.yaml calls werf_secret_file"},
		"function of a sub-chart": {map[string]string{"charts/s/Chart.yaml": sub, "charts/s/templates/a.yaml": `{{ werf_secret_file "x" }}`}, "charts/s/templates/a.yaml calls werf_secret_file"},
		"comment":                 {map[string]string{"templates/a.yaml": `{{- /* werf_secret_file "x" */ -}}`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := load(t, test.files).NeedsSecrets(); !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
