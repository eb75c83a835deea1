package main

import (
	"regexp"
	"runtime"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// The documented form of `slipway plan --output json`, which scripts read: fields
// are added, never renamed or removed.
const planShape = `{
  "project": "shop",
  "repo": "example.org/shop",
  "images": [
    {
      "name": "front",
      "platform": "linux/amd64",
      "key": "KEY",
      "ref": "example.org/shop:KEY",
      "final": true,
      "bases": [
        "docker.io/library/base:latest",
        "example.org/tools:1@sha256:KEY"
      ],
      "needs": []
    },
    {
      "name": "tools",
      "platform": "linux/amd64",
      "key": "KEY",
      "ref": "example.org/shop:KEY",
      "final": false,
      "bases": [],
      "needs": []
    }
  ]
}
`

var anyKey = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// planApp is a project whose plan has all that a plan can have.
func planApp(t *testing.T) *testenv.Repo {
	return testenv.GitRepo(t, map[string]string{
		"werf.yaml":        "project: shop\nconfigVersion: 1\n---\nimage: front\ndockerfile: Dockerfile\n---\nimage: tools\ndockerfile: tools.Dockerfile\nfinal: false\n",
		"Dockerfile":       "FROM base\nCOPY --from=example.org/tools:1@sha256:" + strings.Repeat("ab", 32) + " /bin /bin\nCOPY file /\n",
		"tools.Dockerfile": "FROM scratch\nCOPY file /\n",
		"file":             "content\n",
	})
}

func TestPlanDocument(t *testing.T) {
	t.Parallel()
	repo, cli := planApp(t), testenv.Slipway(t)
	plan := func(args ...string) string { // which asks nobody
		return cli.Run(repo.Dir, offline, append([]string{"plan", "--platform", "linux/amd64"}, args...)...).Must(t).Stdout
	}
	all := plan("--output", "json", "--repo", "example.org/shop")
	if shape := anyKey.ReplaceAllString(all, "KEY"); shape != planShape {
		t.Errorf("the plan is\n%s\nwant\n%s", shape, planShape)
	}
	if again := plan("--output", "json", "--repo", "example.org/shop"); again != all {
		t.Errorf("the same plan again is\n%s\nwas\n%s", again, all)
	}
	keys := anyKey.FindAllString(all, -1) // key, key in ref, digest; key, key in ref
	if len(keys) != 5 || keys[0] != keys[1] || keys[3] != keys[4] || keys[0] == keys[3] {
		t.Errorf("the keys are %v", keys)
	}
	// The choice of images is in the plan, in the file's order, and no key
	// depends on it, nor on the repository.
	if one := plan("--output", "json", "tools"); strings.Contains(one, keys[0]) || !strings.Contains(one, `"ref": "localhost/shop:`+keys[3]) {
		t.Errorf("the plan of one image is\n%s", one)
	}
	if two := plan("--output", "json", "--repo", "example.org/shop", "tools", "front"); two != all {
		t.Errorf("the plan of both images, named the other way round, is\n%s", two)
	}
	text := plan()
	for _, want := range []string{"project shop", keys[0], keys[3], "tools (not final)", "docker.io/library/base:latest"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// Without --platform images are for linux on this machine's architecture.
func TestDefaultPlatform(t *testing.T) {
	t.Parallel()
	repo, cli := planApp(t), testenv.Slipway(t)
	byDefault := planned(t, cli, repo).Images[0]
	for name, args := range map[string][]string{
		"flag": {"--platform", "linux/" + runtime.GOARCH}, "other case": {"--platform", "Linux/" + strings.ToUpper(runtime.GOARCH)},
	} {
		if image := planned(t, cli, repo, args...).Images[0]; image.Key != byDefault.Key || image.Platform != byDefault.Platform {
			t.Errorf("%s: %s for %s, by default %s for %s", name, image.Key, image.Platform, byDefault.Key, byDefault.Platform)
		}
	}
	other := "linux/s390x"
	if image := planned(t, cli, repo, "--platform", other).Images[0]; image.Key == byDefault.Key || image.Platform != other {
		t.Errorf("%s has the key %s, the default %s", image.Platform, image.Key, byDefault.Key)
	}
	// Images are built for it, too, not only planned.
	registry, app := testenv.Registry(t), copyApp(t, "scratch")
	cli.Run(app.Dir, nil, "build", "--repo", registry.Host+"/app", "--platform", other).Must(t)
	config, err := registry.Image("app:" + planned(t, cli, app, "--platform", other).Images[0].Key).ConfigFile()
	if err != nil || config.OS+"/"+config.Architecture != other {
		t.Errorf("built for %s/%s (%v), want %s", config.OS, config.Architecture, err, other)
	}
}
