package giterminism

import (
	"fmt"
	"strings"
	"testing"

	"slipway/planner/diag"
)

func TestDeny(t *testing.T) {
	werf := diag.NewSource("werf.yaml", []byte("project: {{ env \"CI_COMMIT_TAG\" }}\n"))
	envs := version + "config:\n  goTemplateRendering:\n    allowEnvVariables:\n      - /CI_*/\n      - APP_*\n      - CI_COMIT_TAG\n"
	for _, tt := range []struct {
		name, config string
		got          func(c *Config) *diag.Diagnostic
		want         string
	}{
		{"no file", "", func(c *Config) *diag.Diagnostic { return c.Deny(werf.Pos(1, 17), TemplateEnv, "CI_COMMIT_TAG") },
			`werf.yaml:1:17: env "CI_COMMIT_TAG" is not allowed by giterminism
  1 | project: {{ env "CI_COMMIT_TAG" }}
    |                 ^
  its value is not in the commit, so that two runs of one commit could differ
  create werf-giterminism.yaml and commit it:

    giterminismConfigVersion: 1
    config:
      goTemplateRendering:
        allowEnvVariables:
          - CI_COMMIT_TAG

  or give --loose-giterminism, which allows everything`},
		{"several", version, func(c *Config) *diag.Diagnostic { return c.Deny(diag.Pos{}, TemplateEnv, "A", "B") },
			`env "A", "B" is not allowed by giterminism
  its value is not in the commit, so that two runs of one commit could differ
  add to werf-giterminism.yaml and commit it:

    config:
      goTemplateRendering:
        allowEnvVariables:
          - A
          - B

  or give --loose-giterminism, which allows everything`},
		{"nearly allowed", envs, func(c *Config) *diag.Diagnostic { return c.Deny(diag.Pos{}, TemplateEnv, "CI_COMMIT_TAG", "APP_X") },
			`env "CI_COMMIT_TAG", "APP_X" is not allowed by giterminism
  its value is not in the commit, so that two runs of one commit could differ
  the file allows "CI_COMIT_TAG": is that it?
  /CI_*/ is a regular expression, not a pattern with wildcards: /CI_.*/ would allow CI_COMMIT_TAG
  APP_* is a name, not a pattern: /APP_.*/ would allow APP_X
  add to werf-giterminism.yaml (config.goTemplateRendering.allowEnvVariables begins on line 5) and commit it:

    config:
      goTemplateRendering:
        allowEnvVariables:
          - CI_COMMIT_TAG
          - APP_X

  or give --loose-giterminism, which allows everything`},
		{"a flag", version, func(c *Config) *diag.Diagnostic { return c.Deny(diag.Pos{}, CustomTags) },
			`custom tags are not allowed by giterminism
  an alias tag moves, and says nothing of the commit that it was made from
  add to werf-giterminism.yaml and commit it:

    cli:
      allowCustomTags: true

  or give --loose-giterminism, which allows everything`},
		{"an odd path", version, func(c *Config) *diag.Diagnostic { return c.Deny(diag.Pos{}, ContextAddFiles, "a b/[x]: *") },
			`contextAddFiles "a b/[x]: *" is not allowed by giterminism
  its content is not in the commit, so that two runs of one commit could differ
  add to werf-giterminism.yaml and commit it:

    config:
      dockerfile:
        allowContextAddFiles:
          - 'a b/\[x\]: \*'

  or give --loose-giterminism, which allows everything`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Config{}
			if tt.config != "" {
				c = parse(t, tt.config)
			}
			equal(t, "diagnostic", tt.got(c).Error(), tt.want)
		})
	}
}

// The lines that an error shows do what they promise, for any value.
func TestDenyIsRight(t *testing.T) {
	for _, r := range rules {
		values := []string{"name", "a b", "true", "1", "~", "null", "x: y", "# c", "- l", "{a}", "[b", "c*", "d?", `e\f`, "'q'", `"`, "имя", "a\nb", "tab\t", "&a", "*b", "!c", "%", "@", "a,b", "a/b.c", "x/", ".h"}
		if r.kind == files || r.kind == anywhere {
			values = append(values, "~/.npmrc", "/etc/x", "/a b*")
		}
		d := (*Config)(nil).Deny(diag.Pos{}, r.key, values[:maxSnippet]...)
		for _, value := range values {
			d := (*Config)(nil).Deny(diag.Pos{}, r.key, value)
			if c := parse(t, shown(d)); !c.Allows(r.key, value) {
				t.Errorf("%s: %q is not allowed by\n%s", r.key, value, shown(d))
			} else if r.kind != flagKind && c.Allows(r.key, "another") {
				t.Errorf("%s: for %q too much is allowed by\n%s", r.key, value, shown(d))
			}
		}
		c := parse(t, shown(d))
		for _, value := range values[:maxSnippet] {
			if !c.Allows(r.key, value) {
				t.Errorf("%s: %q is not allowed by\n%s", r.key, value, shown(d))
			}
		}
	}
}

// shown is the YAML in an advice.
func shown(d *diag.Diagnostic) string {
	_, text, _ := strings.Cut(d.Advice, ":\n\n")
	text, _, _ = strings.Cut(text, "\n\n")
	return strings.ReplaceAll(text[2:], "\n  ", "\n") + "\n"
}

func TestUncommitted(t *testing.T) {
	roles := map[string]Rule{"werf.yaml": UncommittedConfig, "Dockerfile": Dockerfile, ".helm/values.yaml": ChartFiles, ".werf/a.tmpl": UncommittedTemplate}
	rule := func(p string) Rule { return roles[p] }
	var many []Change
	for i := range maxListed + 3 {
		many = append(many, Change{Path: fmt.Sprintf("f%02d", i), Kind: Untracked})
	}
	for _, tt := range []struct {
		name, config string
		changes      []Change
		want         string
	}{
		{"one", "", []Change{{"werf.yaml", Modified, ""}},
			`a file that this run reads has uncommitted changes:
    modified   werf.yaml
  files are read from the commit, so that everybody gets the same; there are three ways on:
  - commit the changes, or undo them
  - give --dev to use the work tree as it is
  - take them from the work tree: create werf-giterminism.yaml and commit it:

    giterminismConfigVersion: 1
    config:
      allowUncommitted: true`},
		{"every role", version, []Change{{"app/new.go", Untracked, ""}, {"werf.yaml", Staged, ""}, {"Dockerfile", Modified, ""}, {".helm/values.yaml", Modified, ""}, {".werf/a.tmpl", Unmerged, ""}, {"app/old.go", Deleted, ""}, {"sub", Submodule, ""}},
			`7 files that this run reads have uncommitted changes:
    modified   .helm/values.yaml
    unmerged   .werf/a.tmpl
    modified   Dockerfile
    untracked  app/new.go
    deleted    app/old.go
    submodule  sub
    staged     werf.yaml
  files are read from the commit, so that everybody gets the same; there are three ways on:
  - commit the changes; those of a submodule in the submodule first, or undo them (git submodule update)
  - give --dev to use the work tree as it is
  - take them from the work tree: add to werf-giterminism.yaml and commit it:

    config:
      allowUncommitted: true
      allowUncommittedTemplates:
        - .werf/a.tmpl
      dockerfile:
        allowUncommitted:
          - Dockerfile
        allowContextAddFiles:
          - app/new.go
    helm:
      allowUncommittedFiles:
        - .helm/values.yaml

    and name the files of a build context in its image's contextAddFiles, in werf.yaml`},
		{"nothing to take", "", []Change{{"a\x1b[31m", Deleted, ""}},
			`a file that this run reads has uncommitted changes:
    deleted    "a\x1b[31m"
  files are read from the commit, so that everybody gets the same; there are three ways on:
  - commit the changes, or undo them
  - give --dev to use the work tree as it is
  - let werf-giterminism.yaml allow some files to be taken from the work tree, which a deleted file and a submodule cannot be`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Config{}
			if tt.config != "" {
				c = parse(t, tt.config)
			}
			equal(t, "diagnostic", c.Uncommitted(tt.changes, rule).Error(), tt.want)
		})
	}
	got := (&Config{}).Uncommitted(many, nil).Error()
	for _, want := range []string{"23 files that", "untracked  f19\n    and 3 more\n", "- f09\n          # and 13 more\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("not %q in\n%s", want, got)
		}
	}
	if d := (&Config{}).Uncommitted(nil, nil); d != nil {
		t.Errorf("no change is the error %v", d)
	}
}
