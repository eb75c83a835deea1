package main

import (
	"archive/tar"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
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
	if err := os.Symlink(".git", filepath.Join(repo.Dir, "served.git")); err != nil {
		t.Fatal(err)
	}
	return server.URL + "/" + filepath.Base(repo.Dir) + "/served.git"
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
	t.Log(r.Stderr)
	for _, want := range []string{url, one, two, "slipway lock --update " + url, "Dockerfile:3"} {
		if r.Code != 1 || !strings.Contains(r.Stderr, want) {
			t.Errorf("exit code %d, no %q in\n%s", r.Code, want, r.Stderr)
		}
	}
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
