package main

import (
	"os/exec"
	"strings"
	"testing"
)

// Imports go one way (docs/architecture.md).
func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	allowed := map[string][]string{
		"engine":  {"engine"},
		"oci":     {"oci"},
		"planner": {"planner", "engine", "oci"},
		"stages":  {"stages", "engine", "oci"},
		"cmd":     {"cmd", "planner", "stages", "engine", "oci"},
	}
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "slipway/...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	folder := func(pkg string) string {
		top, _, _ := strings.Cut(strings.TrimPrefix(pkg, "slipway/"), "/")
		return top
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		pkg, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		from := folder(pkg)
		seen[from] = true
		for _, imported := range strings.Fields(imports) {
			if !strings.HasPrefix(imported, "slipway/") {
				if from == "engine" && strings.Contains(imported, ".") && !strings.HasPrefix(imported, "golang.org/x/sync/") {
					t.Errorf("%s imports %s: engine has the standard library and x/sync only", pkg, imported)
				}
				continue
			}
			if to := folder(imported); !strings.Contains(" "+strings.Join(allowed[from], " ")+" ", " "+to+" ") {
				t.Errorf("%s imports %s", pkg, imported)
			}
		}
	}
	for from := range allowed {
		if !seen[from] {
			t.Errorf("no package in %s", from)
		}
	}
}
