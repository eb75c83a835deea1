package main

import (
	"path/filepath"
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// chain is four images, each made from the one before: by FROM, by COPY --from of
// a stage, and by facts in a RUN.
var chain = map[string]string{
	"werf.yaml": `project: chain
configVersion: 1
---
image: top
dockerfile: top.Dockerfile
dependencies:
  - image: third
    imports:
      - {type: ImageName, targetBuildArg: THIRD}
      - {type: ImageDigest, targetBuildArg: DIGEST}
      - {type: ImageID, targetBuildArg: ID}
---
image: [third]
dockerfile: third.Dockerfile
dependencies:
  - from: second
    imports:
      - {type: ImageRepo, targetBuildArg: REPO}
      - {type: ImageTag, targetBuildArg: TAG}
---
image: second
dockerfile: second.Dockerfile
final: false
dependencies:
  - image: first
    imports: [{type: ImageName, targetBuildArg: FIRST}]
---
image: first
dockerfile: first.Dockerfile
final: false
`,
	"first.Dockerfile":  "FROM busybox\nENV FROM_FIRST=yes\nWORKDIR /first\nRUN echo first >file\n",
	"second.Dockerfile": "ARG FIRST\nFROM ${FIRST}\nRUN echo second >>file && test \"$FROM_FIRST\" = yes\n",
	"third.Dockerfile":  "ARG REPO\nARG TAG\nFROM ${REPO}:${TAG} AS second\nFROM busybox\nCOPY --from=second /first/file /file\nRUN echo third >>/file\n",
	"top.Dockerfile":    "ARG THIRD\nFROM ${THIRD}\nARG DIGEST\nARG ID\nRUN echo top >>/file && echo $DIGEST >/digest && echo $ID >/id\nCMD [\"cat\", \"/file\"]\n",
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"registry", "layout"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			registry, repo, cli := busyRegistry(t), testenv.GitRepo(t, chain), testenv.Slipway(t)
			place := registry.Host + "/chain"
			if kind == "layout" {
				place = "oci:" + filepath.Join(t.TempDir(), "repo")
			}
			mirror := "--container-registry-mirror=http://" + registry.Host
			p := planned(t, cli, repo, "--repo", place)
			keys := map[string]string{}
			for _, image := range p.Images {
				keys[image.Name] = image.Key
			}
			if top := p.Images[0]; top.Name != "top" || len(top.Needs) != 1 || top.Needs[0] != "third" || len(keys) != 4 {
				t.Fatalf("plan %+v", p)
			}
			cli.Run(repo.Dir, nil, "build", "top", "--repo", place, mirror).Must(t)
			out := testenv.RunImage(t, ref(place, keys["top"])).Must(t)
			if out.Stdout != "first\nsecond\nthird\ntop\n" {
				t.Errorf("the top says %q", out.Stdout)
			}
			if kind == "registry" {
				digest := testenv.RunImage(t, ref(place, keys["top"]), "cat", "/digest").Must(t).Stdout
				if want := registry.Digest("chain:" + keys["third"]); digest != want+"\n" {
					t.Errorf("ImageDigest is %q, want %q", digest, want)
				}
				id := testenv.RunImage(t, ref(place, keys["top"]), "cat", "/id").Must(t).Stdout
				if config, err := registry.Image("chain:" + keys["third"]).ConfigName(); err != nil || id != config.String()+"\n" {
					t.Errorf("ImageID is %q, want %s (%v)", id, config, err)
				}
				// Images that are not final are not exported.
				cli.Run(repo.Dir, nil, "export", "--repo", place, mirror, "--tag", registry.Host+"/out/%image%:v1").Must(t)
				if registry.Digest("out/top:v1") == "" || registry.Digest("out/first:v1") != "" {
					t.Error("the wrong images are exported")
				}
			}

			// What the first image is made of is in every key above it.
			repo.Write("second.Dockerfile", chain["second.Dockerfile"]+"RUN true\n")
			repo.Commit("change the second")
			for _, image := range planned(t, cli, repo, "--repo", place).Images {
				if changed := image.Key != keys[image.Name]; changed != (image.Name != "first") {
					t.Errorf("key of %s changed: %v", image.Name, changed)
				}
			}
			r := cli.Run(repo.Dir, nil, "build", "top", "--repo", place, mirror).Must(t)
			if strings.Contains(r.Stderr, "[build first]") {
				t.Errorf("the first is built again:\n%s", r.Stderr)
			}
			r = cli.Run(repo.Dir, nil, "build", "top", "--repo", place, mirror).Must(t)
			if !strings.Contains(r.Stderr, "Nothing to do") || !strings.Contains(r.Stderr, "1 stage skipped") {
				t.Errorf("the next run looks below a hit:\n%s", r.Stderr)
			}
		})
	}
}

func ref(place, key string) string { return place + ":" + key }

// What says how RUNs are run reaches them, and is not in the key.
func TestHowRunsAreRun(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml": `project: app
configVersion: 1
---
image: app
dockerfile: Dockerfile
staged: true
addHost: "some.host:10.1.2.3"
network: none
secrets:
  - {env: TOKEN, id: token}
  - {src: secret.txt}
`,
		"secret.txt":            "from a file",
		"werf-giterminism.yaml": "giterminismConfigVersion: 1\nconfig:\n  secrets:\n    allowEnvVariables: [TOKEN]\n    allowFiles: [secret.txt]\n",
		"Dockerfile": "FROM busybox\n" +
			"RUN --mount=type=secret,id=token --mount=type=secret,id=secret.txt cat /run/secrets/token /run/secrets/secret.txt | wc -c >/count\n" +
			"RUN grep -q '10.1.2.3.*some.host' /etc/hosts && ! wget -q -O - http://" + registry.Host + "/v2/\n" +
			"CMD cat /count\n",
	})
	cli := testenv.Slipway(t)
	args := []string{"export", "--repo", registry.Host + "/app", "--tag", registry.Host + "/app:v1", "--container-registry-mirror", "http://" + registry.Host}
	if r := cli.Run(repo.Dir, nil, args...); r.Code != 1 || !strings.Contains(r.Stderr, "TOKEN is not set") {
		t.Errorf("without the variable: exit code %d\n%s", r.Code, r.Stderr)
	}
	key := planned(t, cli, repo).Images[0].Key
	r := cli.Run(repo.Dir, []string{"TOKEN=hidden value"}, args...).Must(t)
	if strings.Contains(r.Stderr+r.Stdout, "hidden value") {
		t.Error("the secret is in the output")
	}
	if out := testenv.RunImage(t, registry.Host+"/app:v1").Must(t); strings.TrimSpace(out.Stdout) != "23" {
		t.Errorf("the secrets have %q bytes, want 23", out.Stdout)
	}
	repo.Write("werf.yaml", strings.NewReplacer("10.1.2.3", "10.1.2.4", "network: none\n", "", "staged: true\n", "").Replace(fileOf(t, repo, "werf.yaml")))
	repo.Commit("only how")
	if planned(t, cli, repo).Images[0].Key != key {
		t.Error("how RUNs are run is in the key")
	}
	repo.Write("werf.yaml", fileOf(t, repo, "werf.yaml")+"cacheVersion: \"2\"\n")
	repo.Commit("cache version")
	if planned(t, cli, repo).Images[0].Key == key {
		t.Error("cacheVersion is not in the key")
	}
}

func TestImageSpec(t *testing.T) {
	t.Parallel()
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, map[string]string{
		"werf.yaml": `project: app
configVersion: 1
build:
  imageSpec:
    author: Somebody
    config:
      labels: {project: "%project%", both: global}
---
image: app
dockerfile: Dockerfile
imageSpec:
  config:
    labels: {image: "%image%", both: own}
    removeLabels: [/gone.*/]
    env: {PATH: "/opt/bin:${PATH}"}
    removeEnv: [OLD]
    cmd: [sh, -c, "echo $0 $PATH $OLD."]
    expose: ["80"]
    user: "1000"
`,
		"Dockerfile": "FROM busybox\nLABEL gone1=x kept=y\nENV OLD=old\nENTRYPOINT []\n",
	})
	cli := testenv.Slipway(t)
	args := []string{"export", "--repo", registry.Host + "/app", "--tag", registry.Host + "/app:v1", "--container-registry-mirror", "http://" + registry.Host}
	cli.Run(repo.Dir, nil, args...).Must(t)
	config, err := registry.Image("app:v1").ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"project": "app", "image": "app", "both": "own", "kept": "y"}
	for name, value := range want {
		if config.Config.Labels[name] != value {
			t.Errorf("label %s is %q, want %q", name, config.Config.Labels[name], value)
		}
	}
	if len(config.Config.Labels) != len(want) || config.Author != "Somebody" || config.Config.User != "1000" {
		t.Errorf("config %+v, author %q", config.Config, config.Author)
	}
	if _, ok := config.Config.ExposedPorts["80/tcp"]; !ok {
		t.Errorf("ports %v", config.Config.ExposedPorts)
	}
	if out := testenv.RunImage(t, registry.Host+"/app:v1").Must(t); !strings.HasPrefix(out.Stdout, "sh /opt/bin:/usr/local/sbin:") || !strings.HasSuffix(out.Stdout, " .\n") {
		t.Errorf("the image says %q", out.Stdout)
	}
	key := planned(t, cli, repo).Images[0].Key
	repo.Write("werf.yaml", strings.Replace(fileOf(t, repo, "werf.yaml"), "Somebody", "Nobody", 1))
	repo.Commit("another author")
	if planned(t, cli, repo).Images[0].Key == key {
		t.Error("imageSpec is not in the key")
	}
}
