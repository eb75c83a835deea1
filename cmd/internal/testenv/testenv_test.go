package testenv

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestCachedIsMadeOnceByRacers(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			path := cached(t, "thing", func(path string) {
				made.Add(1)
				if err := os.WriteFile(path, []byte("whole"), 0o644); err != nil {
					t.Error(err)
				}
			})
			if b, err := os.ReadFile(path); err != nil || string(b) != "whole" {
				t.Errorf("read %q, %v", b, err)
			}
		})
	}
	wg.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("made %d times, want once", n)
	}
	left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "slipway-test", ".making-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAbsentToolFailsWithHint(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for tool, hint := range map[string]string{
		"npm":          "install Node.js",
		"no-such-tool": "install it",
	} {
		if said := failure(t, func(tb testing.TB) { Tool(tb, tool) }); !strings.Contains(said, hint) || !strings.Contains(said, tool) {
			t.Errorf("without %s the test is told %q, want %q in it", tool, said, hint)
		}
	}
}

func TestGoTools(t *testing.T) {
	for tool, args := range map[string][]string{"helm": {"version", "--short"}, "crane": {"version"}} {
		if out := command(t, t.TempDir(), nil, Tool(t, tool), args...); strings.TrimSpace(out) == "" {
			t.Errorf("%s says nothing of its version", tool)
		}
	}
}

func TestRunEnvironmentIsIsolated(t *testing.T) {
	t.Setenv("WERF_REPO", "leak")
	t.Setenv("DOCKER_CONFIG", "leak")
	dir := t.TempDir()
	script := filepath.Join(dir, "env.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nenv\npwd\nexit $1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Any program will do to see what the machine of a CLI is like.
	c := &CLI{Path: script, Home: t.TempDir(), t: t}
	r := c.Run(dir, []string{"WERF_TAG=mine"}, "3")
	if r.Code != 3 {
		t.Errorf("exit code %d, want 3", r.Code)
	}
	if strings.Contains(r.Stdout, "leak") {
		t.Errorf("the test's environment leaks:\n%s", r.Stdout)
	}
	for _, want := range []string{"WERF_TAG=mine", "HOME=" + c.Home, "XDG_STATE_HOME=" + c.Home + "/state", "DOCKER_CONFIG=" + c.Home + "/.docker", dir} {
		if !strings.Contains(r.Stdout, want+"\n") {
			t.Errorf("no %s in\n%s", want, r.Stdout)
		}
	}
	if said := failure(t, func(tb testing.TB) { r.Must(tb) }); !strings.Contains(said, "exit code 3") {
		t.Errorf("Must says %q", said)
	}
	c.Run(dir, nil, "0").Must(t)
}

func TestSlipwayRuns(t *testing.T) {
	first, second := Slipway(t), Slipway(t)
	if first.Path != second.Path || first.Home == second.Home {
		t.Errorf("two machines have %+v and %+v, want one program and two homes", first, second)
	}
	if out := first.Run(t.TempDir(), nil, "version").Must(t).Stdout; strings.TrimSpace(out) == "" {
		t.Error("slipway version says nothing")
	}
}

func TestGitRepoIsReproducible(t *testing.T) {
	t.Setenv("GIT_DIR", "/nowhere")
	t.Setenv("GIT_AUTHOR_NAME", "Somebody")
	make := func() (*Repo, string, string) {
		r := GitRepo(t, map[string]string{"a.txt": "a", "dir/with space/b.txt": "b"})
		first := r.Git("rev-parse", "HEAD")
		r.Write("a.txt", "changed")
		r.Remove("dir")
		return r, first, r.Commit("second")
	}
	r, first, second := make()
	_, first2, second2 := make()
	if first != first2 || second != second2 || first == second {
		t.Errorf("commits %s %s, then %s %s", first, second, first2, second2)
	}
	if files := r.Git("ls-tree", "-r", "--name-only", "HEAD"); files != "a.txt" {
		t.Errorf("HEAD has %q", files)
	}
	clone := r.Clone(filepath.Join(t.TempDir(), "clone"))
	if b, err := os.ReadFile(clone.Path("a.txt")); err != nil || string(b) != "changed" {
		t.Errorf("the clone has %q, %v", b, err)
	}
	if head := clone.Git("rev-parse", "HEAD"); head != second {
		t.Errorf("the clone is at %s, want %s", head, second)
	}
}

// failure runs f with a test of its own and returns what f failed it with.
func failure(t *testing.T, f func(testing.TB)) string {
	t.Helper()
	s := &spy{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(s)
	}()
	<-done
	if s.said == "" {
		t.Error("the test did not fail")
	}
	return s.said
}
