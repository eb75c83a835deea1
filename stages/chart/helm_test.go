package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// helmBinary is the Helm that go.mod names as a tool: `go tool -n` builds it
// into Go's build cache, once, and prints where it is.
var helmBinary = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "helm").Output()
	return strings.TrimSpace(string(out)), err
})

// runHelm runs the real Helm with nothing of the user's configuration.
func runHelm(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	helm, err := helmBinary()
	if err != nil {
		t.Fatalf("building helm: %v", err)
	}
	home := t.TempDir()
	cmd := exec.Command(helm, args...)
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+home+"/none")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := runHelm(t, args...)
	if err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// save writes the package as `helm pull` would and returns its path.
func save(t *testing.T, p *Package) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), p.Name+"-"+p.Version+".tgz")
	if err := os.WriteFile(file, p.Archive, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// tree is a file system of the given contents, paths relative to .helm.
func tree(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[".helm/"+name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return fsys
}

func load(t *testing.T, files map[string]string) *Source {
	t.Helper()
	s, err := Load(t.Context(), tree(files), ".helm", LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pack(t *testing.T, s *Source, o Options) *Package {
	t.Helper()
	p, err := s.Package(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// render packs a chart and renders it with the real Helm and no values.
func render(t *testing.T, files map[string]string, o Options) string {
	t.Helper()
	return mustHelm(t, "template", "release", save(t, pack(t, load(t, files), o)))
}

// wants fails for each line that output does not have on a line of its own,
// indentation aside.
func wants(t *testing.T, output string, lines ...string) {
	t.Helper()
	have := map[string]bool{}
	for line := range strings.Lines(output) {
		have[strings.TrimSpace(line)] = true
	}
	for _, line := range lines {
		if !have[line] {
			t.Errorf("no line %q in:\n%s", line, output)
		}
	}
}
