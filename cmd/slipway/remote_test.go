package main

import (
	"archive/tar"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway/cmd/internal/testenv"

	digest "github.com/opencontainers/go-digest"
)

// fileServer serves what it is told to, one file per path.
type fileServer struct {
	*httptest.Server
	mu       sync.Mutex
	files    map[string]string
	requests int
}

func serveFiles(t *testing.T) *fileServer {
	s := &fileServer{files: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests++
		content, ok := s.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, content)
	}))
	t.Cleanup(s.Close)
	return s
}

// set changes what a path holds; "" is nothing.
func (s *fileServer) set(path, content string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = content
	if content == "" {
		delete(s.files, path)
	}
	return s.URL + path
}

func (s *fileServer) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// serveGit serves a repository as web servers do: with git http-backend.
func serveGit(t *testing.T, repo *testenv.Repo) (url string) {
	dir := filepath.Dir(repo.Dir)
	server := httptest.NewServer(&cgi.Handler{
		Path: testenv.Tool(t, "git"), Args: []string{"http-backend"}, Dir: dir,
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + dir, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	})
	t.Cleanup(server.Close)
	return server.URL + "/" + filepath.Base(repo.Dir) + "/.git"
}

// contentsOf are the files of an image's layers.
func contentsOf(t *testing.T, registry *testenv.RegistryServer, ref string) map[string]string {
	t.Helper()
	files := map[string]string{}
	eachEntry(t, registry.Image(ref), 0, func(h *tar.Header, content string) {
		if h.Typeflag == tar.TypeReg {
			files[h.Name] = content
		}
	})
	return files
}

// remoteProject is a project whose Dockerfile has these instructions.
func remoteProject(t *testing.T, instructions string) *testenv.Repo {
	return testenv.GitRepo(t, map[string]string{
		"werf.yaml":  "project: app\nconfigVersion: 1\n---\nimage: app\ndockerfile: Dockerfile\n",
		"Dockerfile": "FROM scratch\nCOPY file /file\n" + instructions + "\n",
		"file":       "file\n",
	})
}

// A file behind a URL: it floats without a lock file, and with one a build has
// that file or none.
func TestLockOfRemoteFile(t *testing.T) {
	t.Parallel()
	registry, server := testenv.Registry(t), serveFiles(t)
	url := server.set("/tool", "one")
	withPassword := strings.Replace(url, "://", "://user:pa55@", 1)
	repo := remoteProject(t, "ADD "+withPassword+" /tool")
	cli := testenv.Slipway(t)
	key := func() string { return planned(t, cli, repo).Images[0].Key }
	export := func(cli *testenv.CLI, tag string) testenv.Result {
		return cli.Run(repo.Dir, nil, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/app:"+tag)
	}
	floating := key()
	if r := export(cli, "v1").Must(t); strings.Count(r.Stderr, "remote files float with what their URLs hold; slipway lock pins them: "+url+"\n") != 1 {
		t.Errorf("what floats is not said once:\n%s", r.Stderr)
	}
	server.set("/tool", "two")
	if key() != floating {
		t.Error("planning asks what the URL holds")
	}
	server.set("/tool", "one")
	one, two := digest.FromString("one").String(), digest.FromString("two").String()
	if r := cli.Run(repo.Dir, nil, "lock").Must(t); r.Stdout != url+": nothing -> "+one+"\n" {
		t.Errorf("lock says %q", r.Stdout)
	}
	if text := fileOf(t, repo, "werf.lock"); !strings.Contains(text, "remotes:\n  "+url+":\n    digest: "+one+"\n") {
		t.Errorf("the lock file is\n%s", text)
	}
	repo.Commit("lock")
	locked := key()
	if locked == floating {
		t.Error("the checksum did not enter the key")
	}
	cli.Run(repo.Dir, nil, "lock", "--check").Must(t)
	if r := export(cli, "v2").Must(t); strings.Contains(r.Stderr, "float") {
		t.Errorf("what is pinned is said to float:\n%s", r.Stderr)
	}
	if got := contentsOf(t, registry, "app:v2")["tool"]; got != "one" {
		t.Errorf("the image has %q", got)
	}

	server.set("/tool", "two")
	asked := server.asked()
	if key() != locked || server.asked() != asked {
		t.Error("a locked file is asked for while planning")
	}
	if r := cli.Run(repo.Dir, nil, "lock", "--check"); r.Code != 1 || r.Stdout != url+": "+one+" -> "+two+"\n" {
		t.Errorf("lock --check: exit code %d, %q", r.Code, r.Stdout)
	}
	if r := cli.Run(repo.Dir, nil, "lock").Must(t); r.Stdout != "" {
		t.Errorf("lock without --update changed %q", r.Stdout)
	}
	// A machine that has never seen the old file.
	repo.Write("file", "changed\n")
	repo.Commit("change")
	r := export(testenv.Slipway(t), "v3")
	refused(t, r, "Dockerfile:3: ADD "+url, one, two, "slipway lock --update "+url)
	if registry.Digest("app:v3") != "" {
		t.Error("something is published")
	}
	if strings.Contains(r.Stderr+r.Stdout, "pa55") {
		t.Errorf("the password is shown:\n%s", r.Stderr)
	}
	before := key()
	cli.Run(repo.Dir, nil, "lock", "--update", withPassword).Must(t)
	repo.Commit("update")
	if key() == before {
		t.Error("the new checksum did not enter the key")
	}
	export(cli, "v4").Must(t)
	if got := contentsOf(t, registry, "app:v4")["tool"]; got != "two" {
		t.Errorf("the image has %q", got)
	}
}

// A repository behind a URL: without a lock file its refs float, and with one
// builds have the commits that they were, wherever the refs are by now.
func TestLockOfRemoteRepository(t *testing.T) {
	t.Parallel()
	registry := testenv.Registry(t)
	lib := testenv.GitRepo(t, map[string]string{"sub/version": "one", "other": "other"})
	lib.Git("tag", "--annotate", "--message", "version 1", "v1")
	lib.Git("tag", "light")
	one := lib.Git("rev-parse", "HEAD")
	url := serveGit(t, lib)
	withPassword := strings.Replace(url, "://", "://user:pa55@", 1)
	repo := remoteProject(t, "ADD "+url+"#main:sub /main/\nADD "+url+"?tag=v1&subdir=sub /tag/\nADD "+url+"#light:sub /light/\nADD "+withPassword+" /default/\n"+
		"ADD "+url+"#"+one+":sub /commit/")
	cli := testenv.Slipway(t)
	key := func() string { return planned(t, cli, repo).Images[0].Key }
	export := func(cli *testenv.CLI, tag string) testenv.Result {
		return cli.Run(repo.Dir, nil, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/app:"+tag)
	}
	floating := key()
	names := []string{url, url + "#light", url + "#main", url + "#refs/tags/v1"}
	if r := export(cli, "v1").Must(t); !strings.Contains(r.Stderr, "slipway lock pins them: "+strings.Join(names, ", ")+"\n") || strings.Contains(r.Stderr, "pa55") {
		t.Errorf("what floats is not said, or a password is:\n%s", r.Stderr)
	}
	r := cli.Run(repo.Dir, nil, "lock").Must(t)
	for _, name := range names {
		if !strings.Contains(r.Stdout, name+": nothing -> "+one+"\n") {
			t.Errorf("no commit of %s in\n%s", name, r.Stdout)
		}
	}
	repo.Commit("lock")
	locked := key()
	if locked == floating {
		t.Error("the commits did not enter the key")
	}
	export(cli, "v2").Must(t)

	lib.Write("sub/version", "two")
	two := lib.Commit("two")
	lib.Git("tag", "--annotate", "--force", "--message", "version 1 again", "v1")
	if key() != locked {
		t.Error("a ref that moved changed a locked key")
	}
	r = cli.Run(repo.Dir, nil, "lock", "--check")
	if r.Code != 1 || r.Stdout != fmt.Sprintf("%s: %s -> %s\n%s#main: %s -> %s\n%s#refs/tags/v1: %s -> %s\n", url, one, two, url, one, two, url, one, two) {
		t.Errorf("lock --check: exit code %d, %q", r.Code, r.Stdout)
	}
	// A machine that has never seen the old commit still builds with it.
	repo.Write("file", "changed\n")
	repo.Commit("change")
	export(testenv.Slipway(t), "v3").Must(t)
	files := contentsOf(t, registry, "app:v3")
	for _, name := range []string{"main/version", "tag/version", "light/version", "default/sub/version", "commit/version"} {
		if files[name] != "one" {
			t.Errorf("%s is %q in the image", name, files[name])
		}
	}
	before := key()
	if r := cli.Run(repo.Dir, nil, "lock", "--update", url+"?branch=main", url+"#main:sub"); r.Code != 2 || !strings.Contains(r.Stderr, `no image is made from "`+url+`?branch=main"`) {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	if r := cli.Run(repo.Dir, nil, "lock", "--update", url+"#main:sub").Must(t); r.Stdout != url+"#main: "+one+" -> "+two+"\n" {
		t.Errorf("lock --update says %q", r.Stdout)
	}
	repo.Commit("update")
	if key() == before {
		t.Error("the new commit did not enter the key")
	}
	export(testenv.Slipway(t), "v4").Must(t)
	if files := contentsOf(t, registry, "app:v4"); files["main/version"] != "two" || files["tag/version"] != "one" {
		t.Errorf("the image has %q", files)
	}

	// Where .git is kept, the ref is in the image, and has to be what it was.
	repo.Write("Dockerfile", "FROM scratch\nADD --keep-git-dir "+url+"#v1 /lib\n")
	repo.Commit("keep .git")
	if r := cli.Run(repo.Dir, nil, "plan"); r.Code != 2 || !strings.Contains(r.Stderr, "Dockerfile:2: "+url+"#v1 is not in werf.lock: run slipway lock and commit the file") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
	// What nothing uses any more goes.
	if r := cli.Run(repo.Dir, nil, "lock").Must(t); !strings.Contains(r.Stdout, url+"#light: "+one+" -> nothing\n") {
		t.Errorf("lock says %q", r.Stdout)
	}
	repo.Commit("lock")
	export(cli, "v5").Must(t)
	if got := contentsOf(t, registry, "app:v5"); got["lib/sub/version"] != "two" || got["lib/.git/HEAD"] != two+"\n" {
		t.Errorf("the image has %q", got)
	}
	lib.Write("sub/version", "three")
	lib.Commit("three")
	lib.Git("tag", "--annotate", "--force", "--message", "version 1 again", "v1")
	repo.Write("Dockerfile", "FROM scratch\nCOPY file /\nADD --keep-git-dir "+url+"#v1 /lib\n")
	repo.Commit("change")
	refused(t, export(testenv.Slipway(t), "v6"), "Dockerfile:3: ADD "+url+"#v1", two, "slipway lock --update "+url+"#v1")

	// A commit that the repository has lost.
	repo.Write("Dockerfile", "FROM scratch\nADD "+url+"#v1:sub /lib\n")
	repo.Commit("another use")
	lib.Git("checkout", "--quiet", "--orphan", "new")
	lib.Git("branch", "--delete", "--force", "main")
	lib.Git("tag", "--delete", "v1", "light")
	lib.Git("commit", "--quiet", "--message", "new")
	lib.Git("tag", "v1")
	lib.Git("reflog", "expire", "--all", "--expire=now")
	lib.Git("gc", "--quiet", "--prune=now")
	refused(t, export(testenv.Slipway(t), "v7"), "Dockerfile:2: ADD "+url+"#v1", two, "slipway lock --update "+url+"#v1")
}

// refused is a build that failed for what the lock file says.
func refused(t *testing.T, r testenv.Result, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if r.Code != 1 || !strings.Contains(r.Stderr, want) {
			t.Errorf("exit code %d, no %q in\n%s", r.Code, want, r.Stderr)
		}
	}
}

// What lock cannot resolve is told with the Dockerfile, the line and the URL, and
// nothing is written.
func TestLockOfRemoteErrors(t *testing.T) {
	t.Parallel()
	lib := testenv.GitRepo(t, map[string]string{"file": "x"})
	git := serveGit(t, lib)
	mux := http.NewServeMux()
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/gone?token=pa55", http.StatusFound)
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		fmt.Fprint(w, "four")
	})
	mux.HandleFunc("/closed.git/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", "Basic")
		w.WriteHeader(http.StatusUnauthorized)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	nobody := httptest.NewServer(nil)
	nobody.Close()
	for _, c := range []struct{ url, name, want string }{
		{server.URL + "/none", "", "the server answers 404 Not Found"},
		{server.URL + "/moved", "", "the server answers 404 Not Found"},
		{server.URL + "/empty", "", "the server answers 204 No Content"},
		{server.URL + "/loop", "", "stopped after 10 redirects"},
		{server.URL + "/cut", "", "the download was cut off after 4 bytes"},
		{nobody.URL + "/file", "", "connection refused"},
		{git + "#nothing", "", `the repository has no branch or tag "nothing"`},
		{server.URL + "/none.git", "", "not found"},
		{server.URL + "/closed.git", "", "Authentication failed"},
		{nobody.URL + "/a.git", "", "git ls-remote"},
	} {
		url := strings.Replace(c.url, "://", "://user:pa55@", 1)
		repo := remoteProject(t, "ADD "+url+" /a")
		r := testenv.Slipway(t).Run(repo.Dir, nil, "lock")
		refused(t, r, "Dockerfile:3: ADD "+c.url+": ", c.want)
		if strings.Contains(r.Stderr+r.Stdout, "pa55") {
			t.Errorf("the password is shown:\n%s", r.Stderr)
		}
		if _, err := os.Stat(repo.Path("werf.lock")); err == nil {
			t.Error("a lock file is written")
		}
	}
}

// Private remotes: git asks with the user's ssh, and with the secrets that a build
// would have; files are asked for with those too.
func TestLockOfPrivateRemotes(t *testing.T) {
	t.Parallel()
	lib := testenv.GitRepo(t, map[string]string{"file": "x"})
	commit := lib.Git("rev-parse", "HEAD")
	open := serveGit(t, lib)
	backend, err := url.Parse(open)
	if err != nil {
		t.Fatal(err)
	}
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/file" && r.Header.Get("Authorization") == "Bearer pa55":
			fmt.Fprint(w, "private")
		case user == "x-access-token" && password == "pa55":
			httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: backend.Host}).ServeHTTP(w, r)
		default:
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer private.Close()
	host := strings.TrimPrefix(private.URL, "http://")
	hostname, _, _ := strings.Cut(host, ":")
	ssh := t.TempDir()
	script(t, ssh, "ssh", `while [ $# -gt 1 ]; do echo "$1" >>`+ssh+`/asked; shift; done; eval "$1"`)
	repo := remoteProject(t, "ADD "+private.URL+"/file /file\nADD "+private.URL+backend.Path+"#main /a\nADD git@host.invalid:"+lib.Dir+"#main /b")
	repo.Write("werf.yaml", fileOf(t, repo, "werf.yaml")+"secrets: [{id: GIT_AUTH_TOKEN."+host+", env: TOKEN}, {id: HTTP_AUTH_TOKEN_"+hostname+", env: TOKEN}]\n")
	repo.Write("werf-giterminism.yaml", "giterminismConfigVersion: 1\nconfig: {secrets: {allowEnvVariables: [TOKEN]}}\n")
	repo.Commit("secrets")
	r := testenv.Slipway(t).Run(repo.Dir, []string{"TOKEN=pa55", "GIT_SSH_COMMAND=" + filepath.Join(ssh, "ssh")}, "lock").Must(t)
	for _, want := range []string{
		private.URL + "/file: nothing -> " + digest.FromString("private").String() + "\n",
		private.URL + backend.Path + "#main: nothing -> " + commit + "\n",
		"git@host.invalid:" + lib.Dir + "#main: nothing -> " + commit + "\n",
	} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("no %q in\n%s", want, r.Stdout)
		}
	}
	if asked, err := os.ReadFile(filepath.Join(ssh, "asked")); err != nil || !strings.Contains(string(asked), "git@host.invalid\n") {
		t.Errorf("ssh was run with %q (%v)", asked, err)
	}
	if r := testenv.Slipway(t).Run(repo.Dir, []string{"TOKEN=wrong"}, "lock", "--check"); r.Code != 1 || strings.Contains(r.Stderr, "wrong") {
		t.Errorf("exit code %d, %s", r.Code, r.Stderr)
	}
}

// A build is given the user's ssh agent if werf.yaml says so, not by itself.
func TestRemoteOverSSHNeedsAnAgent(t *testing.T) {
	t.Parallel()
	repo := remoteProject(t, "ADD git@127.0.0.1:a.git#main /a")
	if r := testenv.Slipway(t).Run(repo.Dir, nil, "build"); r.Code != 2 || !strings.Contains(r.Stderr, "write ssh: default in the image's section of werf.yaml") {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
}
