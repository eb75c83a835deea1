package planner

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// inspected is what a plan says of changes made after the commit: "" if it takes
// them for nobody's business.
func inspected(t *testing.T, o Options) string {
	t.Helper()
	p, err := Load(t.Context(), Options{Dir: o.Dir, ReadsChart: o.ReadsChart, Platforms: []string{"linux/amd64"}})
	if err == nil {
		p.Close()
		return ""
	}
	return err.Error()
}

// wantInspected holds the message to the name of the file that it must tell of;
// "" is none.
func wantInspected(t *testing.T, o Options, want string) {
	t.Helper()
	message := inspected(t, o)
	if want == "" && message != "" {
		t.Errorf("it is refused:\n%s", message)
	} else if want != "" {
		wantWords(t, message, want, "uncommitted changes")
	}
}

// A file that is reached through symbolic links is read, and so are the links.
func TestInspectThroughLinks(t *testing.T) {
	app := files{
		"werf.yaml": "project: shop\nconfigVersion: 1\n---\n{{ include \"a.tmpl\" . }}\n{{ .Files.Get \"linked/part.yaml\" }}\n" +
			"{{ range $n, $_ := .Files.Glob \"conf/*\" }}# {{ $n }}\n{{ end }}" +
			"---\nimage: b\ncontext: ctx\ndockerfile: Dockerfile\n",
		"shared/a.tmpl": "image: a\ndockerfile: Dockerfile", "shared/part.yaml": "target: x", "shared/conf": "conf", "shared/other": "other",
		"shared/Dockerfile": "FROM base AS x\nCOPY src/in /src\nCOPY many/* /many/\n", "shared/ignore": "**/*.log\n",
		"src/out/real": "x", "many/a": "a", "real/ctx/Dockerfile": "FROM base\nCOPY f /f\n", "real/ctx/f": "f", "real/ctx/g": "g",
		"charts/x.yaml": "a: b", "charts/dir/y.yaml": "c: d", "charts/dropped/z": "z", ".helm/values.yaml": "", "elsewhere/e": "e", "werf": "w",
	}
	links := map[string]string{
		".werf/a.tmpl": "../shared/a.tmpl", "linked": "shared", "Dockerfile": "linked/Dockerfile", ".dockerignore": "shared/ignore", "src/in": "out",
		"many/b": "../elsewhere", "ctx": "real/ctx", "conf/c": "../linked/conf", ".helm/templates": "../charts", ".helm/templates2": "../charts/dir",
		".helm/unused": "../elsewhere", "unread": "werf",
	}
	link := func(t *testing.T, dir, name, target string) {
		p := filepath.Join(dir, name)
		check(t, os.MkdirAll(filepath.Dir(p), 0o755))
		check(t, os.RemoveAll(p))
		check(t, os.Symlink(target, p))
	}
	dir := app.with(files{".helm/.helmignore": "unused\n/templates/dropped/\n"}).commit(t)
	for name, target := range links {
		link(t, dir, name, target)
	}
	git(t, dir, "add", "-A", "-f")
	git(t, dir, "commit", "-q", "-m", "links")
	for name, tt := range map[string]struct {
		change files
		links  map[string]string
		want   string
	}{
		"nothing":                      {},
		"template":                     {change: files{"shared/a.tmpl": app["shared/a.tmpl"] + " "}, want: "shared/a.tmpl"},
		"link to a template":           {links: map[string]string{".werf/a.tmpl": "../shared/other"}, want: ".werf/a.tmpl"},
		"file of a template":           {change: files{"shared/part.yaml": "target: y"}, want: "shared/part.yaml"},
		"link on the way":              {links: map[string]string{"linked": "elsewhere"}, want: "linked"},
		"match of a glob":              {change: files{"shared/conf": "other"}, want: "shared/conf"},
		"beside it":                    {change: files{"shared/other": "changed", "shared/new": "new"}},
		"Dockerfile":                   {change: files{"shared/Dockerfile": "FROM base AS x\n"}, want: "shared/Dockerfile"},
		"ignore file":                  {change: files{"shared/ignore": "x"}, want: "shared/ignore"},
		"copied through a link":        {change: files{"src/out/real": "y"}, want: "src/out/real"},
		"new, copied through a link":   {change: files{"src/out/new": "y"}, want: "src/out/new"},
		"new, but ignored":             {change: files{"src/out/new.log": "y"}},
		"link that is copied":          {links: map[string]string{"src/in": "../elsewhere"}, want: "src/in"},
		"matched by a pattern, behind": {change: files{"elsewhere/new": "y"}, want: "elsewhere/new"},
		"context":                      {change: files{"real/ctx/f": "y"}, want: "real/ctx/f"},
		"context, not copied":          {change: files{"real/ctx/g": "y", "real/ctx/new": "y"}},
		"Dockerfile of the context":    {change: files{"real/ctx/Dockerfile": "FROM base\n"}, want: "real/ctx/Dockerfile"},
		"ignore file of the context":   {change: files{"real/ctx/.dockerignore": "x"}, want: "real/ctx/.dockerignore"},
		"link to the context":          {links: map[string]string{"ctx": "elsewhere"}, want: "ctx"},
		"chart":                        {change: files{"charts/x.yaml": "y"}, want: "charts/x.yaml"},
		"new in the chart":             {change: files{"charts/new.yaml": "y"}, want: "charts/new.yaml"},
		"dropped of the chart":         {change: files{"charts/dropped/z": "y"}},
		"link that nobody follows":     {links: map[string]string{"unread": "shared"}},
		"what it leads to":             {change: files{"werf": "y"}},
	} {
		t.Run(name, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "copy")
			git(t, dir, "clone", "-q", dir, copied)
			tt.change.write(t, copied)
			for name, target := range tt.links {
				link(t, copied, name, target)
			}
			wantInspected(t, Options{Dir: copied, ReadsChart: true}, tt.want)
		})
	}
}

// What an ignore file keeps out of a chart, and an ignore file that another one
// overrides, are not read.
func TestInspectIgnored(t *testing.T) {
	base := files{
		"werf.yaml":  meta + "---\nimage: a\ndockerfile: a.Dockerfile\n",
		"Dockerfile": "", "a.Dockerfile": "FROM base\nCOPY src /src\n", "src/f": "x", ".dockerignore": "nothing\n",
		".helm/.helmignore": "*.md\n/ci/\nnotes\n", ".helm/README.md": "x", ".helm/ci/test/values": "x", ".helm/values.yaml": "", ".helm/sub/ci/x": "x",
	}
	own := base.with(files{"a.Dockerfile.dockerignore": "nothing\n"})
	copiesAll := own.with(files{"a.Dockerfile": "FROM base\nCOPY . /src\n"})
	for name, tt := range map[string]struct {
		app, change files
		want        string
	}{
		"dropped file":               {base, files{".helm/README.md": "y"}, ""},
		"dropped directory":          {base, files{".helm/ci/test/values": "y"}, ""},
		"new in a dropped directory": {base, files{".helm/ci/new/values": "y"}, ""},
		"new, and dropped":           {base, files{".helm/templates/notes": "y"}, ""},
		"another of that name":       {base, files{".helm/sub/ci/x": "y"}, ".helm/sub/ci/x"},
		"kept":                       {base, files{".helm/values.yaml": "a: b"}, ".helm/values.yaml"},
		"new":                        {base, files{".helm/templates/x.yaml": "a: b"}, ".helm/templates/x.yaml"},
		".helmignore":                {base, files{".helm/.helmignore": "x"}, ".helm/.helmignore"},
		".dockerignore":              {base, files{".dockerignore": "x"}, ".dockerignore"},
		"overridden":                 {own, files{".dockerignore": "x"}, ""},
		"overridden, and copied":     {copiesAll, files{".dockerignore": "x"}, ".dockerignore"},
		"the one that overrides":     {own, files{"a.Dockerfile.dockerignore": "x"}, "a.Dockerfile.dockerignore"},
		"one that would override":    {base, files{"a.Dockerfile.dockerignore": "x"}, "a.Dockerfile.dockerignore"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tt.app.commit(t)
			tt.change.write(t, dir)
			wantInspected(t, Options{Dir: dir, ReadsChart: true}, tt.want)
		})
	}
}

// copyOf is a copy of a repository with its submodules and its work tree.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	check(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

// submodules is a project that copies a file of a submodule, which has one itself.
func submodules(t *testing.T) string {
	t.Helper()
	add := func(repo, inner, name string) {
		git(t, repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", inner, name)
		git(t, repo, "commit", "-q", "-m", "submodule")
	}
	inner := files{"f": "f", "g": "g"}.commit(t)
	add(inner, files{"h": "h"}.commit(t), "deep")
	dir := files{
		"werf.yaml":  meta + "---\nimage: a\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM base\nCOPY mod/f mod/deep /src/\n", "a": "a",
	}.commit(t)
	add(dir, inner, "mod")
	add(dir, inner, "unused")
	git(t, dir, "-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init", "--recursive")
	return dir
}

// Submodules are held to their commits like the project to its own.
func TestInspectSubmodules(t *testing.T) {
	origin := submodules(t)
	commit := func(dir, name string) {
		git(t, filepath.Join(dir, name), "add", "-A")
		git(t, filepath.Join(dir, name), "commit", "-q", "-m", "x")
	}
	for name, tt := range map[string]struct {
		do   func(dir string)
		want string
		dev  bool // --dev gives another key
	}{
		"clean":            {func(string) {}, "", false},
		"modified":         {func(dir string) { files{"mod/f": "x"}.write(t, dir) }, "mod/f", true},
		"staged in it":     {func(dir string) { files{"mod/f": "x"}.write(t, dir); git(t, dir+"/mod", "add", "f") }, "mod/f", true},
		"not copied":       {func(dir string) { files{"mod/g": "x", "mod/new": "x"}.write(t, dir) }, "", false},
		"new in the inner": {func(dir string) { files{"mod/deep/new": "x"}.write(t, dir) }, "mod/deep/new", true},
		"another commit":   {func(dir string) { files{"mod/f": "x"}.write(t, dir); commit(dir, "mod") }, "submodule  mod", true},
		"the inner's":      {func(dir string) { files{"mod/deep/h": "x"}.write(t, dir); commit(dir, "mod/deep") }, "submodule  mod/deep", true},
		"in the index":     {func(dir string) { commitEmpty(t, dir+"/mod"); git(t, dir, "add", "mod") }, "submodule  mod", false},
		"gone":             {func(dir string) { check(t, os.RemoveAll(filepath.Join(dir, "mod"))) }, "deleted    mod", true},
		"not checked out":  {func(dir string) { git(t, dir, "submodule", "deinit", "-q", "-f", "mod") }, "", false},
		"one that is unused": {func(dir string) {
			files{"unused/f": "x", "unused/new": "x"}.write(t, dir)
			commit(dir, "unused")
			files{"unused/f": "y"}.write(t, dir)
		}, "", false},
		"an unused one, gone": {func(dir string) { check(t, os.RemoveAll(filepath.Join(dir, "unused"))) }, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, origin)
			before := keys(t, Options{Dir: dir})
			tt.do(dir)
			wantInspected(t, Options{Dir: dir}, tt.want)
			if tt.want != "" {
				message := inspected(t, Options{Dir: dir})
				if name != "gone" {
					wantWords(t, message, "commit the changes; those of a submodule in the submodule first", "--dev")
				}
			}
			if name == "gone" {
				return // from the work tree, too
			}
			dev := keys(t, Options{Dir: dir, Dev: true, DevState: t.TempDir()})
			if maps.Equal(dev, before) == tt.dev {
				t.Errorf("--dev gives %v, the commit %v", dev, before)
			}
		})
	}
}

func commitEmpty(t *testing.T, dir string) { git(t, dir, "commit", "-q", "--allow-empty", "-m", "x") }

// --dev-ignore reaches into submodules.
func TestDevIgnoreSubmodules(t *testing.T) {
	dir := submodules(t)
	before := keys(t, Options{Dir: dir})
	files{"mod/f": "x", "mod/deep/h": "x", "mod/deep/new": "x"}.write(t, dir)
	git(t, dir+"/mod/deep", "commit", "-q", "-a", "-m", "x")
	dev := func(ignore ...string) bool {
		return !maps.Equal(keys(t, Options{Dir: dir, Dev: true, DevState: t.TempDir(), DevIgnore: ignore}), before)
	}
	for _, tt := range []struct {
		ignore  []string
		changes bool
	}{
		{nil, true}, {[]string{"mod"}, false}, {[]string{"mod/f"}, true}, {[]string{"mod/f", "mod/deep"}, false}, {[]string{"**/f", "**/deep"}, false}, {[]string{"f", "deep"}, true},
	} {
		if got := dev(tt.ignore...); got != tt.changes {
			t.Errorf("ignoring %q, the key changes: %v", tt.ignore, got)
		}
	}
}

// The same files, as a submodule or not, have one key.
func TestSubmoduleKey(t *testing.T) {
	dir := submodules(t)
	flat := files{"werf.yaml": meta + "---\nimage: a\ndockerfile: Dockerfile\n", "Dockerfile": "FROM base\nCOPY mod/f mod/deep /src/\n",
		"mod/f": "f", "mod/deep/h": "h"}.commit(t)
	if got, want := keys(t, Options{Dir: dir}), keys(t, Options{Dir: flat}); !maps.Equal(got, want) {
		t.Errorf("with a submodule %v, without %v", got, want)
	}
}

// Never fetched submodules are in the way of what needs them only.
func TestUnfetchedSubmodules(t *testing.T) {
	origin := submodules(t)
	clone := func(config files) string {
		dir := filepath.Join(t.TempDir(), "clone")
		git(t, origin, "clone", "-q", origin, dir)
		config.write(t, dir)
		git(t, dir, "commit", "-q", "-a", "--allow-empty", "-m", "x")
		return dir
	}
	image := "---\nimage: a\ndockerfile: Dockerfile\n"
	for name, tt := range map[string]struct {
		config files
		needs  bool
	}{
		"copied":              {nil, true},
		"not copied":          {files{"Dockerfile": "FROM base\nCOPY a /\n"}, false},
		"not matched":         {files{"Dockerfile": "FROM base\nCOPY w*.yaml */nothing /\n"}, true},
		"matched":             {files{"Dockerfile": "FROM base\nCOPY w*.yaml /\n"}, false},
		"all":                 {files{"Dockerfile": "FROM base\nCOPY . /\n"}, true},
		"a glob beside it":    {files{"Dockerfile": "FROM base\n", "werf.yaml": meta + "{{ range $n, $_ := .Files.Glob \"*.md\" }}# {{ $n }}\n{{ end }}" + image}, false},
		"a glob that may":     {files{"Dockerfile": "FROM base\n", "werf.yaml": meta + "{{ range $n, $_ := .Files.Glob \"**/x\" }}# {{ $n }}\n{{ end }}" + image}, true},
		"whether it is there": {files{"Dockerfile": "FROM base\n", "werf.yaml": meta + "{{ if not (.Files.IsDir \"mod\") }}x{{ end }}\n" + image}, false},
		"whether a file is":   {files{"Dockerfile": "FROM base\n", "werf.yaml": meta + "{{ .Files.Exists \"mod/f\" }}\n" + image}, true},
	} {
		t.Run(name, func(t *testing.T) {
			message := inspected(t, Options{Dir: clone(tt.config)})
			if tt.needs {
				wantWords(t, message, "git submodule update --init mod")
			} else if message != "" {
				t.Error(message)
			}
		})
	}
}

// A clone without a checkout has no work tree that anything could come from.
func TestWithoutCheckout(t *testing.T) {
	rules := files{"werf-giterminism.yaml": "giterminismConfigVersion: 1\nconfig: {allowUncommitted: true, dockerfile: {allowUncommitted: [\"**\"]}}\nhelm: {allowUncommittedFiles: [\"**\"]}\n"}
	for name, app := range map[string]files{"nothing allowed": shop, "allowed": shop.with(rules)} {
		t.Run(name, func(t *testing.T) {
			origin := app.commit(t)
			dir := filepath.Join(t.TempDir(), "clone")
			git(t, origin, "clone", "-q", "-n", origin, dir)
			if got, want := keys(t, Options{Dir: dir}), keys(t, Options{Dir: origin}); !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	// What is there is looked at all the same.
	dir := shop.with(rules).commit(t)
	check(t, os.Remove(filepath.Join(dir, "werf.yaml")))
	files{"front/main": "other"}.write(t, dir)
	wantInspected(t, Options{Dir: dir}, "front/main")
	// One deleted file is a change where the configuration is there.
	dir = shop.with(rules).commit(t)
	check(t, os.Remove(filepath.Join(dir, "front/main")))
	wantInspected(t, Options{Dir: dir}, "front/main")
}

// A file that is allowed in one role counts in the others.
func TestInspectRoles(t *testing.T) {
	app := files{
		"werf.yaml": meta + "---\nimage: a\ndockerfile: Dockerfile\n", "Dockerfile": "FROM base\nCOPY . /\n",
		"werf-giterminism.yaml": "giterminismConfigVersion: 1\nconfig: {dockerfile: {allowUncommitted: [Dockerfile]}}\n",
	}
	dir := app.commit(t)
	files{"Dockerfile": app["Dockerfile"] + "RUN x\n"}.write(t, dir)
	wantInspected(t, Options{Dir: dir}, "Dockerfile")
	dir = app.with(files{".dockerignore": "Dockerfile\n"}).commit(t)
	files{"Dockerfile": app["Dockerfile"] + "RUN x\n"}.write(t, dir)
	wantInspected(t, Options{Dir: dir}, "")
}
