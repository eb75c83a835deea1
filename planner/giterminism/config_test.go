package giterminism

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/planner/diag"
)

var update = flag.Bool("update", false, "write the diagnostics into testdata/*.golden")

const version = "giterminismConfigVersion: 1\n"

func parse(t testing.TB, text string) *Config {
	t.Helper()
	c, err := ParseConfig(FileName, []byte(text))
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	c.Home, c.Dir = "/home/u", "/src/project"
	return c
}

// full gives every rule a value.
const full = `giterminismConfigVersion: "1"
cli:
  allowCustomTags: true
config:
  allowUncommitted: yes
  allowUncommittedTemplates:
    - .werf/local*.tmpl
  goTemplateRendering:
    allowEnvVariables:
      - CI_COMMIT_TAG	# one
      - /APP_.+/
      - "/A|B/"
	# a tab before a comment
    allowUncommittedFiles: [ "**/local.yaml" ]
  secrets:
    allowEnvVariables: [TOKEN, /TOK.*/]
    allowFiles: [~/.npmrc, "~/keys/*.pem", /etc/ssl/**, local/secret, ../beside, ../../up/**]
    allowValueIds: [id]
  stapel:
    allowFromLatest: on
    git:
      allowBranch: True
    mount:
      allowBuildDir: true
      allowFromPaths: [~/.cache, /var/cache/*, cache]
  dockerfile:
    allowUncommitted: [Dockerfile.dev]
    allowUncommittedDockerignoreFiles: [/app/.dockerignore]
    allowContextAddFiles: [app/dist/, "conf/{a,b}.y?ml", "v[0-9]", "e\\[x]"]
helm:
  allowUncommittedFiles: [.helm/charts/**/*]
includes:
  allowIncludesUpdate: true
`

func TestAllows(t *testing.T) {
	values := map[Rule]struct{ yes, no []string }{
		CustomTags:          {yes: []string{""}},
		UncommittedConfig:   {yes: []string{"werf.yaml"}},
		UncommittedTemplate: {[]string{".werf/local.tmpl", ".werf/local-1.tmpl"}, []string{".werf/other.tmpl", ".werf/d/local.tmpl", "x/.werf/local.tmpl"}},
		TemplateEnv: {[]string{"CI_COMMIT_TAG", "APP_X", "A", "B"},
			[]string{"CI_COMMIT_TAG2", "ci_commit_tag", "APP_", "MY_APP_X", "AX", "XB", "", "/APP_.+/"}},
		TemplateFiles: {[]string{"local.yaml", "a/b/local.yaml"}, []string{"xlocal.yaml", "local.yml"}},
		SecretEnv:     {[]string{"TOKEN", "/TOK.*/"}, []string{"TOK", "TOKENS"}},
		SecretFile: {[]string{"~/.npmrc", "/home/u/.npmrc", "/home/x/../u/.npmrc", "~/keys/a.pem", "/etc/ssl/a/b", "local/secret", "./local/secret",
			"/src/project/local/secret", "../beside", "/src/beside", "/up/x"},
			[]string{".npmrc", "~/keys/a.key", "/etc/ss", "~/local/secret", "/local/secret", "beside", "~x/.npmrc", "", "/src/project", "/upper"}},
		SecretValue:     {[]string{"id"}, []string{"i", "ID"}},
		FromLatest:      {yes: []string{""}},
		GitBranch:       {yes: []string{"main"}},
		MountBuildDir:   {yes: []string{""}},
		MountFromPath:   {[]string{"~/.cache", "/var/cache/x/y", "cache", "cache/x"}, []string{"var/cache/x", "/cache"}},
		Dockerfile:      {[]string{"Dockerfile.dev", "./Dockerfile.dev"}, []string{"Dockerfile", "app/Dockerfile.dev", "Dockerfile.deva"}},
		Dockerignore:    {[]string{"app/.dockerignore"}, []string{".dockerignore"}},
		ContextAddFiles: {[]string{"app/dist", "app/dist/x/y", "conf/a.yaml", "conf/b.y_ml", "v7", "v0/x", "e[x]"}, []string{"app", "app/dis", "conf/c.yaml", "conf/a.y/ml", "vx", "v/", "e[y]"}},
		ChartFiles:      {[]string{".helm/charts", ".helm/charts/a.tgz", ".helm/charts/a/b"}, []string{".helm/values.yaml", ".helm"}},
		IncludesUpdate:  {yes: []string{""}},
	}
	config, strict, loose := parse(t, full), parse(t, version), &Config{Loose: true}
	for _, r := range rules {
		v, ok := values[r.key]
		if !ok || len(v.yes) == 0 {
			t.Errorf("%s has no test", r.key)
		}
		for _, value := range append(v.yes, v.no...) {
			if !loose.Allows(r.key, value) {
				t.Errorf("loose: %s does not allow %q", r.key, value)
			}
			for name, c := range map[string]*Config{"version only": strict, "zero": {}, "none": nil} {
				if c.Allows(r.key, value) {
					t.Errorf("%s: %s allows %q", name, r.key, value)
				}
			}
		}
		for _, value := range v.yes {
			if !config.Allows(r.key, value) {
				t.Errorf("%s does not allow %q", r.key, value)
			}
		}
		for _, value := range v.no {
			if config.Allows(r.key, value) {
				t.Errorf("%s allows %q", r.key, value)
			}
		}
	}
	// Wherever it starts, ** goes no higher.
	for text, no := range map[string]string{"~": "/etc/x", "~/**": "/home/v", "**/x": "/etc/x", "../**": "/x", ".": "../x"} {
		c := parse(t, version+"config: {secrets: {allowFiles: ['"+text+"']}}")
		if c.Allows(SecretFile, no) || !c.Allows(SecretFile, c.lists[SecretFile].texts[0]+"/x") && text != "**/x" {
			t.Errorf("%s: %v", text, c.Allows(SecretFile, no))
		}
	}
	for _, r := range rules {
		if r.kind == flagKind && parse(t, version+strings.Replace(snippet([]need{{r.key, nil}}), "true", "no", 1)).Allows(r.key, "") {
			t.Errorf("%s: no means yes", r.key)
		}
	}
}

// What real files look like, and is right.
func TestParseRight(t *testing.T) {
	const body = "config:\n  goTemplateRendering:\n    allowEnvVariables:\n    - /CI_.+/\n"
	for name, text := range map[string]string{
		"tab before a comment":         "giterminismConfigVersion: 1\t# x\n" + strings.ReplaceAll(body, "\n", "\t# c\n"),
		"tabs on lines of their own":   "\t# x\n" + version + "\t\n \t # y\nconfig:\n  \t# a\n\t  # b\n  goTemplateRendering:\n    allowEnvVariables:\n\t# z\n    - /CI_.+/\n\t",
		"the same, CR LF":              strings.ReplaceAll("\t# x\n"+version+"\t\n \t # y\nconfig:\n\t# z\n  goTemplateRendering: {allowEnvVariables: [/CI_.+/]}\n", "\n", "\r\n"),
		"text for the version":         "giterminismConfigVersion: \"1\"\n" + body,
		"other text for the version":   "giterminismConfigVersion: '1'\n" + body,
		"byte order mark":              bom + version + body,
		"CR LF":                        strings.ReplaceAll(version+body, "\n", "\r\n"),
		"no line end":                  strings.TrimSuffix(version+body, "\n"),
		"hyphens around":               "---\n" + version + body + "---\n",
		"empty documents":              "# c\n---\n---\n" + version + body + "...\n---\n# end\n---\nnull\n",
		"version last":                 body + version,
		"nothing in other keys":        version + "cli:\nhelm:\n  allowUncommittedFiles:\n  # - x\nincludes: ~\n" + body,
		"an alias":                     version + "helm:\n  allowUncommittedFiles: &x [/CI_.+/]\nconfig: {goTemplateRendering: {allowEnvVariables: *x}}\n",
		"Cyrillic comments and blanks": "# Проект  \n" + version + "  # да \n" + body + "\n\n   \n",
		"a list twice the same":        version + body + "    - /CI_.+/\n",
	} {
		if c := parse(t, text); !c.Allows(TemplateEnv, "CI_X") || c.Allows(TemplateEnv, "X") {
			t.Errorf("%s: %v", name, c)
		}
	}
}

// Each golden file holds cases: a line with "=== " and the name, the text of the
// file, a line "=== diagnostics", and what ParseConfig says about that text.
func TestParseWrong(t *testing.T) {
	const file, mark = "testdata/wrong.golden", "=== "
	golden, err := os.ReadFile(file)
	must(t, err)
	parts := strings.Split("\n"+string(golden), "\n"+mark)[1:]
	if len(parts) == 0 || len(parts)%2 != 0 {
		t.Fatalf("%d parts", len(parts))
	}
	var updated strings.Builder
	for i := 0; i < len(parts); i += 2 {
		name, text, _ := strings.Cut(parts[i]+"\n", "\n")
		_, want, _ := strings.Cut(parts[i+1]+"\n", "\n")
		config, err := ParseConfig(FileName, []byte(text))
		if err == nil || config != nil || !diag.Is(err) {
			t.Errorf("%s: %v, %v", name, config, err)
			continue
		}
		updated.WriteString(mark + name + "\n" + text + mark + "diagnostics\n" + err.Error() + "\n\n")
		if strings.TrimRight(err.Error(), "\n") != strings.TrimRight(want, "\n") && !*update {
			t.Errorf("%s: got\n%s\nwant\n%s", name, err, want)
		}
	}
	if *update {
		must(t, os.WriteFile(file, []byte(updated.String()), 0o644))
	}
}

func TestParseWrongBytes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", FileName + ": the file is empty\n  begin it with\n\n    giterminismConfigVersion: 1"},
		{"# comment\n---\n", FileName + ": the file is empty\n  begin it with\n\n    giterminismConfigVersion: 1"},
		{version + "helm:\n  allowUncommittedFiles:\n  - |\n   " + strings.Repeat("*a", 3000),
			FileName + ":4:5: an entry of \"helm.allowUncommittedFiles\" is longer than any path: 6000 bytes\n  4 |   - |\n    |     ^"},
		{version + "# caf\xe9\n", FileName + ":2:6: this is not UTF-8 text\n  2 | # caf\uFFFD\n    |      ^\n  save the file as UTF-8"},
		{version + "config:\r\n\tallowUncommitted: true\r\n",
			FileName + ":3:1: this is not YAML: found character that cannot start any token\n  3 | \tallowUncommitted: true\n    | ^\n  indent with spaces: YAML allows no tabs there"},
	} {
		if _, err := ParseConfig(FileName, []byte(tt.text)); err == nil || err.Error() != tt.want {
			t.Errorf("%q: got\n%v\nwant\n%s", tt.text, err, tt.want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(full))
	golden, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(golden) == 0 {
		f.Fatal(err)
	}
	for _, name := range golden {
		data, err := os.ReadFile(name)
		must(f, err)
		for _, part := range strings.Split(string(data), "\n=== ") {
			_, text, _ := strings.Cut(part, "\n")
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		defer time.AfterFunc(20*time.Second, func() { panic("it hangs") }).Stop()
		c, err := ParseConfig(FileName, text)
		if (c == nil) == (err == nil) || err != nil && !diag.Is(err) {
			t.Fatalf("%v, %v", c, err)
		}
		if err != nil {
			return
		}
		c.Home, c.Dir = "/home/u", "/src"
		for _, r := range rules {
			for _, value := range append(c.lists[r.key].texts, string(text)) {
				// A rule of names never allows a name that is not given.
				if r.kind == names && value == string(text) && c.Allows(r.key, value+"x") && !strings.Contains(string(text), "x") {
					t.Errorf("%s allows %q", r.key, value+"x")
				}
				if d := c.Deny(diag.Pos{}, r.key, value); d.Message == "" || d.Advice == "" {
					t.Errorf("%s: %v", r.key, d)
				}
			}
		}
	})
}
