package planner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"slipway/planner/diag"

	"github.com/containerd/platforms"
)

// TestMain keeps the settings of whoever runs the tests out of them.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "GIT_") {
			os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
		"GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c@example.org",
	} {
		os.Setenv(name, value)
	}
	os.Exit(m.Run())
}

// files maps the names of a tree to contents.
type files map[string]string

// with is a copy with changes; "" removes a file.
func (f files) with(changes files) files {
	f = maps.Clone(f)
	maps.Copy(f, changes)
	maps.DeleteFunc(f, func(_, content string) bool { return content == "" })
	return f
}

func (f files) write(t *testing.T, dir string) {
	t.Helper()
	for name, content := range f {
		path := filepath.Join(dir, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(content), 0o644))
	}
}

// commit makes a repository whose only commit holds f, and returns its place.
func (f files) commit(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	f.write(t, dir)
	git(t, dir, "init", "-q", "--template=")
	git(t, dir, "add", "-A", "-f")
	git(t, dir, "commit", "-q", "-m", "x")
	return dir
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, o Options) *Plan {
	t.Helper()
	if o.Platforms == nil {
		o.Platforms = []string{"linux/amd64"}
	}
	p, err := Load(t.Context(), o)
	check(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// keys are the keys of a plan by the names of the images.
func keys(t *testing.T, o Options) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, image := range load(t, o).Images {
		found[image.Name] = image.Key.String()
	}
	return found
}

// fails is the message of a plan that must fail as bad input.
func fails(t *testing.T, o Options) string {
	t.Helper()
	p, err := Load(t.Context(), o)
	if err == nil {
		p.Close()
		t.Fatal("no error")
	}
	if !diag.Is(err) {
		t.Errorf("not told as the user's mistake: %v", err)
	}
	return err.Error()
}

func wantWords(t *testing.T, message string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(message, word) {
			t.Errorf("it does not say %q:\n%s", word, message)
		}
	}
}

const meta = "project: shop\nconfigVersion: 1\n"

// section is an image in the directory of its name.
func section(name string, more ...string) string {
	return "---\nimage: " + name + "\ncontext: " + name + "\ndockerfile: Dockerfile\n" + strings.Join(more, "")
}

// shop has three images, each with its own context.
var shop = files{
	"werf.yaml":        meta + section("front") + section("back") + section("jobs", "final: false\n"),
	"front/Dockerfile": "FROM base\nCOPY . /\n", "front/main": "front",
	"back/Dockerfile": "FROM base\nCOPY . /\n", "back/main": "back", "back/test.log": "log",
	"jobs/Dockerfile": "FROM base\nCOPY . /\n", "jobs/main": "jobs",
	"README.md": "read me",
}

func TestPlan(t *testing.T) {
	f := shop.with(files{"werf.yaml": meta + "deploy:\n  helmChartDir: chart\n  helmChartConfig: {appVersion: 1.2.3}\n" + section("z") + section("a", "final: false\n"),
		"z/Dockerfile": "FROM base\n", "a/Dockerfile": "FROM base\n"})
	p := load(t, Options{Dir: f.commit(t)})
	if p.Project != "shop" || p.Chart.Dir != "chart" || p.Chart.AppVersion != "1.2.3" {
		t.Errorf("project %q, chart in %q, %q", p.Project, p.Chart.Dir, p.Chart.AppVersion)
	}
	var got []string
	for _, i := range p.Images {
		got = append(got, fmt.Sprint(i.Name, " ", i.Final, " ", len(i.Builds), " ", platforms.FormatAll(i.Builds[0].Platform), " ", i.Key == i.Builds[0].Recipe.Key && !i.Key.IsZero()))
	}
	if want := []string{"z true 1 linux/amd64 true", "a false 1 linux/amd64 true"}; !slices.Equal(got, want) {
		t.Errorf("images are %q, want %q", got, want)
	}
}

func TestWhatDoesNotChangeKeys(t *testing.T) {
	want := keys(t, Options{Dir: shop.commit(t)})
	if len(want) != 3 || want["front"] == want["back"] {
		t.Fatalf("keys are %v", want)
	}
	clone := filepath.Join(t.TempDir(), "a clone")
	git(t, t.TempDir(), "clone", "-q", shop.commit(t), clone)
	dirty := shop.commit(t)
	files{"README.md": "not committed", "new": "neither"}.write(t, dirty)
	below := files{}
	for name, content := range shop {
		below["services/shop/"+name] = content
	}
	nested := below.with(files{"werf.yaml": "not this one", ".dockerignore": "*"}).commit(t)
	for name, o := range map[string]Options{
		"order of images":          {Dir: shop.with(files{"werf.yaml": meta + section("jobs") + section("back") + section("front")}).commit(t)},
		"another checkout":         {Dir: clone},
		"work tree":                {Dir: dirty},
		"unrelated file":           {Dir: shop.with(files{"README.md": "changed", "other/new": "new"}).commit(t)},
		"name of werf.yaml":        {Dir: shop.with(files{"werf.yaml": "", "ci/config.yaml": shop["werf.yaml"]}).commit(t), Config: "ci/config.yaml"},
		"project below the top":    {Dir: filepath.Join(nested, "services", "shop")},
		"the same, and work tree":  {Dir: filepath.Join(nested, "services", "shop"), GitWorkTree: nested},
		"platform spelt otherwise": {Dir: shop.commit(t), Platforms: []string{"linux/x86_64"}},
		"trace":                    {Dir: shop.commit(t), KeyTrace: io.Discard},
	} {
		t.Run(name, func(t *testing.T) {
			if got := keys(t, o); !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// A change in one image changes that image's key alone.
func TestWhatChangesOneKey(t *testing.T) {
	base := keys(t, Options{Dir: shop.commit(t)})
	seen := map[string]string{base["back"]: "nothing"}
	for name, change := range map[string]files{
		"file":                     {"back/main": "changed"},
		"new file":                 {"back/new": "new"},
		"Dockerfile":               {"back/Dockerfile": "FROM base\nCOPY . /srv\n"},
		"ignored file":             {"back/.dockerignore": "*.log\n.dockerignore\n"},
		"Dockerfile's own ignores": {"back/Dockerfile.dockerignore": "main\n*.dockerignore\n"},
		"args":                     {"werf.yaml": strings.Replace(shop["werf.yaml"], "---\nimage: jobs", "args: {V: 1}\n---\nimage: jobs", 1), "back/Dockerfile": "FROM base\nARG V\nCOPY . /\nRUN echo $V\n"},
		"other value of an arg":    {"werf.yaml": strings.Replace(shop["werf.yaml"], "---\nimage: jobs", "args: {V: 2}\n---\nimage: jobs", 1), "back/Dockerfile": "FROM base\nARG V\nCOPY . /\nRUN echo $V\n"},
		"target":                   {"werf.yaml": strings.Replace(shop["werf.yaml"], "---\nimage: jobs", "target: one\n---\nimage: jobs", 1), "back/Dockerfile": "FROM base AS one\nCOPY main /\nFROM base\nCOPY . /\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := keys(t, Options{Dir: shop.with(change).commit(t)})
			if got["front"] != base["front"] || got["jobs"] != base["jobs"] {
				t.Error("the keys of other images have changed")
			}
			if other, taken := seen[got["back"]]; taken {
				t.Errorf("the key is that of: %s", other)
			}
			seen[got["back"]] = name
		})
	}
}

// reads lists the files of the context that an image's key covers, as the trace
// has them.
func reads(t *testing.T, o Options) []string {
	t.Helper()
	var trace bytes.Buffer
	o.KeyTrace = &trace
	load(t, o)
	var paths []string
	for line := range strings.Lines(trace.String()) {
		quoted, err := strconv.QuotedPrefix(line)
		if err == nil && !strings.HasSuffix(line, " directory\n") {
			path, _ := strconv.Unquote(quoted)
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

func TestIgnoreFiles(t *testing.T) {
	one := func(context, dockerfile string) string {
		return meta + "---\nimage: app\ncontext: " + context + "\ndockerfile: " + dockerfile + "\n"
	}
	app := files{"app/build/Dockerfile": "FROM base\nCOPY . /\n", "app/a.txt": "a", "app/b.txt": "b", "app/c.txt": "c"}
	tests := map[string]struct {
		werf   string
		change files
		want   []string
	}{
		"none":                      {one("app", "build/Dockerfile"), nil, []string{"a.txt", "b.txt", "build/Dockerfile", "c.txt"}},
		"at the context's root":     {one("app", "build/Dockerfile"), files{"app/.dockerignore": "a.txt\n.*\n"}, []string{"b.txt", "build/Dockerfile", "c.txt"}},
		"the Dockerfile's own":      {one("app", "build/Dockerfile"), files{"app/build/Dockerfile.dockerignore": "b.txt\nbuild\n"}, []string{"a.txt", "c.txt"}},
		"the Dockerfile's own wins": {one("app", "build/Dockerfile"), files{"app/build/Dockerfile.dockerignore": "b.txt\nbuild\n.*\n", "app/.dockerignore": "a.txt"}, []string{"a.txt", "c.txt"}},
		"an empty one wins, too":    {one("app", "build/Dockerfile"), files{"app/build/Dockerfile.dockerignore": "# nothing\n", "app/.dockerignore": "a.txt"}, []string{".dockerignore", "a.txt", "b.txt", "build/Dockerfile", "build/Dockerfile.dockerignore", "c.txt"}},
		"not beside the Dockerfile": {one("app", "build/Dockerfile"), files{"app/build/.dockerignore": "../a.txt\na.txt\n"}, []string{"a.txt", "b.txt", "build/.dockerignore", "build/Dockerfile", "c.txt"}},
		"not at the project's root": {one("app", "build/Dockerfile"), files{".dockerignore": "app\na.txt\n"}, []string{"a.txt", "b.txt", "build/Dockerfile", "c.txt"}},
		"exceptions":                {one("app", "build/Dockerfile"), files{"app/.dockerignore": "*\n!b.txt\n"}, []string{"b.txt"}},
		"Dockerfile outside":        {one("app", "../Outside"), files{"Outside": "FROM base\nCOPY *.txt /\n", "Outside.dockerignore": "a.txt\n"}, []string{"b.txt", "c.txt"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := app.with(test.change).with(files{"werf.yaml": test.werf}).commit(t)
			if got := reads(t, Options{Dir: dir}); !slices.Equal(got, test.want) {
				t.Errorf("it reads %q, want %q", got, test.want)
			}
		})
	}
}

// A file of the work tree that contextAddFiles names counts as if it were
// committed; nothing else of the work tree counts.
func TestContextAddFiles(t *testing.T) {
	werf := meta + section("back", "contextAddFiles: [built, dist/]\n")
	app := files{"werf.yaml": werf, "back/Dockerfile": "FROM base\nCOPY . /\n", "back/main": "main",
		"werf-giterminism.yaml": "giterminismConfigVersion: 1\nconfig: {dockerfile: {allowContextAddFiles: [back/built, back/dist]}}\n"}
	added := files{"back/built": "binary", "back/dist/deep/page": "page"}
	committed := keys(t, Options{Dir: app.with(added).commit(t)})
	dir := app.commit(t)
	added.write(t, dir)
	files{"other": "not in the context"}.write(t, dir)
	if got := keys(t, Options{Dir: dir}); !maps.Equal(got, committed) {
		t.Errorf("got %v, committed %v", got, committed)
	}
	files{"back/built": "other"}.write(t, dir)
	if got := keys(t, Options{Dir: dir}); maps.Equal(got, committed) {
		t.Error("another content gives the same key")
	}
	check(t, os.Remove(filepath.Join(dir, "back/built")))
	wantWords(t, fails(t, Options{Dir: dir}), "werf.yaml:7:", "contextAddFiles", "back", "built")
}

// What the plan reads must be as it is in the commit; everything else may be as it
// likes.
func TestUncommittedChanges(t *testing.T) {
	app := files{
		"werf.yaml":      "project: shop\nconfigVersion: 1\n---\n{{ include \"a.tmpl\" . }}\n{{ .Files.Get \"part.yaml\" }}\n",
		".werf/a.tmpl":   "image: a\ndockerfile: Dockerfile",
		"part.yaml":      "target: x",
		"Dockerfile":     "FROM base AS x\nCOPY src /src\n",
		".dockerignore":  "**/*.log\n",
		".gitignore":     "cache\n",
		"src/main":       "main",
		"docs/readme":    "read me",
		".helm/x.yaml":   "a: b",
		"src/module/one": "one",
	}
	for name, test := range map[string]struct {
		change files
		chart  bool
		read   string // the file that is named; "" is none
	}{
		"configuration":      {files{"werf.yaml": app["werf.yaml"] + "# more\n"}, false, "werf.yaml"},
		"template":           {files{".werf/a.tmpl": app[".werf/a.tmpl"] + " "}, false, ".werf/a.tmpl"},
		"new template":       {files{".werf/b.tmpl": "x"}, false, ".werf/b.tmpl"},
		"file of a template": {files{"part.yaml": "target: y"}, false, "part.yaml"},
		"Dockerfile":         {files{"Dockerfile": "FROM base AS x\n"}, false, "Dockerfile"},
		"ignore file":        {files{".dockerignore": "x"}, false, ".dockerignore"},
		"copied":             {files{"src/main": "other"}, false, "src/main"},
		"copied and new":     {files{"src/module/two": "two"}, false, "src/module/two"},
		"not copied":         {files{"docs/readme": "other", "docs/new": "new"}, false, ""},
		"ignored by docker":  {files{"src/x.log": "log"}, false, ""},
		"ignored by git":     {files{"src/cache": "cache"}, false, ""},
		"chart":              {files{".helm/x.yaml": "a: c"}, true, ".helm/x.yaml"},
		"chart, not read":    {files{".helm/x.yaml": "a: c"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := app.commit(t)
			before := keys(t, Options{Dir: dir, ReadsChart: test.chart})
			test.change.write(t, dir)
			if test.read == "" {
				if got := keys(t, Options{Dir: dir, ReadsChart: test.chart}); !maps.Equal(got, before) {
					t.Error("the key changed")
				}
				return
			}
			wantWords(t, fails(t, Options{Dir: dir, ReadsChart: test.chart}), test.read, "uncommitted changes", "commit the changes", "--dev", "werf-giterminism.yaml")
			if name == "copied" || name == "copied and new" {
				dev := keys(t, Options{Dir: dir, Dev: true, DevState: t.TempDir()})
				if want := keys(t, Options{Dir: app.with(test.change).commit(t)}); !maps.Equal(dev, want) {
					t.Error("with --dev the key is not that of the same files, committed")
				}
			}
			if name == "Dockerfile" {
				loose := keys(t, Options{Dir: dir, Loose: true})
				if want := keys(t, Options{Dir: app.with(test.change).commit(t)}); !maps.Equal(loose, want) {
					t.Error("with --loose-giterminism the work tree's Dockerfile is not used")
				}
				allowed := app.with(files{"werf-giterminism.yaml": "giterminismConfigVersion: 1\nconfig: {dockerfile: {allowUncommitted: [Dockerfile]}}\n"}).commit(t)
				test.change.write(t, allowed)
				if got := keys(t, Options{Dir: allowed}); !maps.Equal(got, loose) {
					t.Error("an allowed Dockerfile does not come from the work tree")
				}
			}
		})
	}
}

// These two are always read from the commit: there is no way on but to commit.
func TestAlwaysCommitted(t *testing.T) {
	late := files{"werf.lock": "version: 1\nbases: {}\n", "werf-giterminism.yaml": "giterminismConfigVersion: 1\n"}
	for name, content := range late {
		dir := shop.commit(t)
		files{name: content}.write(t, dir)
		wantWords(t, fails(t, Options{Dir: dir}), name, "uncommitted", "always read from the commit")
	}
}

// What giterminism lets come from the work tree does so with --dev, too, where
// git ignores it.
func TestAllowedWithDev(t *testing.T) {
	dir := files{
		"werf.yaml":             "project: shop\nconfigVersion: 1\n---\nimage: a\ndockerfile: Dockerfile\nargs: {A: {{ .Files.Get \"made.txt\" }}}\n",
		"Dockerfile":            "FROM base\nARG A\nRUN echo $A\n",
		"werf-giterminism.yaml": "giterminismConfigVersion: 1\nconfig: {goTemplateRendering: {allowUncommittedFiles: [made.txt]}}\n",
		".gitignore":            "made.txt\n",
	}.commit(t)
	files{"made.txt": "x"}.write(t, dir)
	want := keys(t, Options{Dir: dir})
	if got := keys(t, Options{Dir: dir, Dev: true, DevState: t.TempDir()}); !maps.Equal(got, want) {
		t.Error("--dev gives another key")
	}
}

func TestDependencyDetails(t *testing.T) {
	app := files{
		"werf.yaml": meta + "---\nimage: dep\ndockerfile: dep.Dockerfile\nimageSpec: {config: {env: {DIR: src}}}\n" +
			"---\nimage: app\ndockerfile: app.Dockerfile\ndependencies: [{image: dep, imports: [{type: ImageName, targetBuildArg: DEP}]}]\n",
		"dep.Dockerfile": "FROM base\n", "app.Dockerfile": "ARG DEP\nFROM $DEP\nCOPY $DIR /x\n",
		"src/file": "one", "other": "other",
	}
	before := keys(t, Options{Dir: app.commit(t)})
	after := keys(t, Options{Dir: app.with(files{"src/file": "two"}).commit(t)})
	if before["app"] == after["app"] || before["dep"] != after["dep"] {
		t.Error("a variable that the dependency's imageSpec sets does not choose what is read")
	}
	twice := load(t, Options{Dir: app.commit(t), Platforms: []string{"linux/arm64", "linux/arm64/v8"}}).Images[0]
	if len(twice.Builds) != 1 {
		t.Errorf("one platform in two spellings gives %d builds", len(twice.Builds))
	}
	wantWords(t, fails(t, Options{Dir: app.with(files{"app.Dockerfile": "ARG DEP\nFROM --platform=linux/s390x $DEP\n"}).commit(t), Platforms: []string{"linux/amd64"}}),
		"app.Dockerfile:2", "linux/s390x", "linux/amd64")
}

func TestChoose(t *testing.T) {
	dir := shop.commit(t)
	all := keys(t, Options{Dir: dir})
	for _, test := range []struct{ names, want []string }{
		{nil, []string{"front", "back", "jobs"}},
		{[]string{"jobs"}, []string{"jobs"}},
		{[]string{"jobs", "front"}, []string{"front", "jobs"}}, // in the file's order
		{[]string{"back", "back"}, []string{"back"}},
	} {
		var got []string
		for _, image := range load(t, Options{Dir: dir, Images: test.names}).Images {
			got = append(got, image.Name)
			if image.Key.String() != all[image.Name] {
				t.Errorf("the key of %s depends on which images are chosen", image.Name)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q chooses %q, want %q", test.names, got, test.want)
		}
	}
	message := fails(t, Options{Dir: dir, Images: []string{"frnt", "jobs", "database", "Back"}})
	wantWords(t, message, `no image "frnt" in werf.yaml`, `did you mean "front"?`, `no image "Back"`, `did you mean "back"?`,
		`no image "database"`, "it has: front, back, jobs")
	if strings.Contains(message, `"jobs"`) {
		t.Errorf("a right name is told as wrong:\n%s", message)
	}
}

// What the commit has in place of a file is the user's to mend.
func TestNoFile(t *testing.T) {
	outside := func(t *testing.T, app files, link string) string {
		dir := app.commit(t)
		check(t, os.Symlink("../../outside", filepath.Join(dir, link)))
		git(t, dir, "add", "-A", "-f")
		git(t, dir, "commit", "-q", "-m", "link")
		return dir
	}
	submodule := func(t *testing.T, app files) string {
		dir := app.commit(t)
		git(t, dir, "update-index", "--add", "--cacheinfo", "160000,1111111111111111111111111111111111111111,lib")
		git(t, dir, "commit", "-q", "-m", "submodule")
		return dir
	}
	copies := files{"werf.yaml": meta + "---\nimage: app\ndockerfile: Dockerfile\n", "Dockerfile": "FROM base\nCOPY lib /\n"}
	gets := files{"werf.yaml": meta + "# {{ .Files.Get \"lib/version\" }}\n"}
	wantWords(t, fails(t, Options{Dir: submodule(t, copies)}), `image "app"`, `"lib"`, "the submodule is not fetched")
	wantWords(t, fails(t, Options{Dir: submodule(t, gets)}), "werf.yaml:3", "the submodule is not fetched")
	wantWords(t, fails(t, Options{Dir: outside(t, files{"werf.yaml": meta + "# {{ .Files.Get \"link\" }}\n"}, "link")}), "werf.yaml:3", "leads out of the project")
}

// An image that is not chosen may be broken.
func TestOnlyChosenImagesArePlanned(t *testing.T) {
	dir := shop.with(files{"back/Dockerfile": "FRM base\n", "jobs/Dockerfile": ""}).commit(t)
	if got := keys(t, Options{Dir: dir, Images: []string{"front"}}); len(got) != 1 {
		t.Errorf("planned are %v", got)
	}
}

func TestWrongInput(t *testing.T) {
	repo := shop.commit(t)
	empty := t.TempDir()
	git(t, empty, "init", "-q")
	tests := map[string]struct {
		o     Options
		words []string
	}{
		"several images at once": {Options{Dir: shop.with(files{"front/Dockerfile": "", "back/Dockerfile": "FROM base\nCPY a b\n",
			"werf.yaml": shop["werf.yaml"] + "---\nimage: gone\ncontext: nowhere\ndockerfile: Dockerfile\n"}).commit(t)},
			[]string{`image "front": no file front/Dockerfile in the commit`, "werf.yaml:6:", "back/Dockerfile:2", "CPY", `image "gone"`, `"nowhere"`}},
		"broken werf.yaml":     {Options{Dir: shop.with(files{"werf.yaml": meta + section("front", "dockerfle: x\n")}).commit(t)}, []string{"werf.yaml:7:1", "dockerfle"}},
		"no werf.yaml":         {Options{Dir: files{"a": "b"}.commit(t)}, []string{"werf.yaml", "configVersion: 1"}},
		"ignore file":          {Options{Dir: shop.with(files{"front/.dockerignore": "a\n[\n"}).commit(t)}, []string{"front/.dockerignore:2:1", `"["`}},
		"ignore exception":     {Options{Dir: shop.with(files{"front/.dockerignore": "a\n!x[b-a]\n"}).commit(t)}, []string{"front/.dockerignore:2:1", `"!x[b-a]"`}},
		"ignored class":        {Options{Dir: shop.with(files{"front/.dockerignore": "a\nx[!b-a]\ny[!\n"}).commit(t)}, []string{"front/.dockerignore:3:1", `"y[!"`}},
		"exception of nothing": {Options{Dir: shop.with(files{"front/.dockerignore": "a\n!\n"}).commit(t)}, []string{"front/.dockerignore:2:1", `"!"`}},
		"includes":             {Options{Dir: shop.with(files{"werf-includes.yaml": "includes: []\n"}).commit(t)}, []string{"werf-includes.yaml: includes are not supported yet", "remove it"}},
		"no such config":       {Options{Dir: repo, Config: "other.yaml"}, []string{"--config", "other.yaml"}},
		"config outside":       {Options{Dir: repo, Config: "../other.yaml"}, []string{"--config", "leaves", "../other.yaml"}},
		"platform":             {Options{Dir: repo, Platforms: []string{"amd64"}}, []string{`--platform "amd64"`, "OS/ARCH"}},
		"unknown target":       {Options{Dir: shop.with(files{"werf.yaml": meta + section("front", "target: nothing\n")}).commit(t)}, []string{"werf.yaml:7:9", `image "front": front/Dockerfile has no stage "nothing"`, "it names no stages"}},
		"foreign frontend":     {Options{Dir: shop.with(files{"front/Dockerfile": "#  syntax = example.org/frontend:1\nFROM a\n"}).commit(t)}, []string{"front/Dockerfile:1:1", "1 | #  syntax = example.org/frontend:1\n"}},
		"misspelt target":      {Options{Dir: shop.with(files{"front/Dockerfile": "FROM a AS Build\nFROM b AS run\n", "werf.yaml": meta + section("front", "target: biuld\n")}).commit(t)}, []string{"werf.yaml:7:9", `did you mean "build"?`}},
		"quite other target":   {Options{Dir: shop.with(files{"front/Dockerfile": "FROM a AS Build\nFROM b AS run\n", "werf.yaml": meta + section("front", "target: 0\n")}).commit(t)}, []string{"werf.yaml:7:9", "it has: build, run"}},
		"no git repository":    {Options{Dir: t.TempDir()}, []string{"git init"}},
		"no commit":            {Options{Dir: empty}, []string{"no commit yet"}},
		"no such directory":    {Options{Dir: filepath.Join(repo, "nowhere")}, []string{"nowhere"}},
		"not in the commit":    {Options{Dir: filepath.Join(repo, "new")}, []string{"new", "commit its files"}},
		"project has no image": {Options{Dir: files{"werf.yaml": meta}.commit(t), Images: []string{"front"}}, []string{`no image "front"`}},
	}
	check(t, os.Mkdir(filepath.Join(repo, "new"), 0o755))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { wantWords(t, fails(t, test.o), test.words...) })
	}
}

func TestPlatforms(t *testing.T) {
	for in, want := range map[string]string{
		"linux/amd64": "linux/amd64", "linux/x86_64": "linux/amd64", "Linux/AMD64": "linux/amd64",
		"linux/arm64": "linux/arm64", "linux/arm64/v8": "linux/arm64", "linux/aarch64": "linux/arm64",
		"linux/arm": "linux/arm/v7", "linux/arm/v6": "linux/arm/v6", "windows/amd64": "windows/amd64",
		"amd64": "", "linux": "", "linux/": "", "/amd64": "", "linux/amd64,linux/arm64": "", "linux/amd64/v2/x": "", "*/*": "", "": "", " ": "",
	} {
		got, err := targetPlatforms([]string{in})
		switch {
		case want != "" && (err != nil || len(got) != 1 || platforms.FormatAll(got[0]) != want):
			t.Errorf("%q is %+v (%v), want %s", in, got, err, want)
		case want == "" && (!diag.Is(err) || !strings.Contains(err.Error(), strconv.Quote(in))):
			t.Errorf("%q: got %+v, %v", in, got, err)
		}
	}
	if got, err := targetPlatforms(nil); err != nil || len(got) != 1 || got[0].OS != "linux" || got[0].Architecture == "" {
		t.Errorf("the default is %+v, %v", got, err)
	}
}

// The trace is all that is hashed: hashing it again gives the keys.
func TestKeyTrace(t *testing.T) {
	dir := shop.commit(t)
	var trace bytes.Buffer
	p := load(t, Options{Dir: dir, KeyTrace: &trace})
	text := trace.String()
	for _, image := range p.Images {
		hash := sha256.New()
		rest := text
		for !strings.HasPrefix(rest, "= ") {
			head, after, _ := strings.Cut(rest, "\n")
			size, err := strconv.Atoi(head[strings.LastIndex(head, " ")+1:])
			if err != nil || len(after) <= size {
				t.Fatalf("%s: no field begins with %q", image.Name, head)
			}
			rest = after[size+1:]
			io.WriteString(hash, head+"\n"+after[:size+1])
		}
		want := hex.EncodeToString(hash.Sum(nil))
		line, after, _ := strings.Cut(rest, "\n")
		if text = after; line != "= "+want || want != image.Key.String() {
			t.Errorf("%s has key %s, its trace ends in %q and hashes to %s", image.Name, image.Key, line, want)
		}
	}
	if text != "" {
		t.Errorf("after the keys there is %q", text)
	}
	var again bytes.Buffer
	load(t, Options{Dir: dir, KeyTrace: &again})
	if again.String() != trace.String() {
		t.Error("the trace of the same commit differs")
	}
}

// onWrite cancels a plan in the middle.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

func TestCancelled(t *testing.T) {
	dir := shop.commit(t)
	for name, prepare := range map[string]func(cancel func(), o *Options){
		"before":     func(cancel func(), _ *Options) { cancel() },
		"on the way": func(cancel func(), o *Options) { o.KeyTrace = onWrite(cancel) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o := Options{Dir: dir}
			prepare(cancel, &o)
			_, err := Load(ctx, o)
			if !errors.Is(err, context.Canceled) || diag.Is(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}
