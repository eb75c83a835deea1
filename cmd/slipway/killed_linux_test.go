package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway/cmd/internal/testenv"
)

// kill -9 of a run leaves nothing that runs and nothing that is mounted, and the
// next run does the work.
func TestKilledBuild(t *testing.T) {
	registry := busyRegistry(t)
	repo := testenv.GitRepo(t, busyApp("true"))
	repo.Write("Dockerfile", "FROM busybox\nCOPY wait /wait\nRUN sh /wait\n")
	repo.Write("wait", "wget -q -O - http://"+registry.Host+"/v2/wait; sleep 1000")
	repo.Commit("wait")
	args := []string{"export", "app", "--repo", registry.Host + "/app", "--tag", registry.Host + "/published/app:v1",
		"--container-registry-mirror", "http://" + registry.Host}
	cli := testenv.Slipway(t)

	cmd := exec.CommandContext(t.Context(), cli.Path, args...)
	cmd.Dir = repo.Dir
	cmd.Env = append(cli.Env(), "TMPDIR="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for registry.Count(func(r testenv.Request) bool { return strings.HasPrefix(r.Path, "/v2/wait") }) == 0 { // the RUN runs
		time.Sleep(10 * time.Millisecond)
	}
	started := descendants(t, cmd.Process.Pid)
	if len(started) < 3 { // BuildKit, the OCI runtime, the RUN
		t.Errorf("the run has started %v", started)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() //nolint:errcheck // it was killed
	for _, pid := range started {
		for running(pid) && t.Context().Err() == nil { // else the test times out
			time.Sleep(10 * time.Millisecond)
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), cli.Home) {
		t.Errorf("something is left mounted (%v):\n%s", err, mounts)
	}
	repo.Write("wait", "echo no more")
	repo.Commit("no more waiting")
	cli.Run(repo.Dir, nil, args...).Must(t)
	if registry.Digest("published/app:v1") == "" {
		t.Error("not published by the next run")
	}
}

// descendants are the processes that one has started, and those that they have.
func descendants(t *testing.T, pid int) (out []int) {
	t.Helper()
	lists, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		content, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(content)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			out = append(append(out, child), descendants(t, child)...)
		}
	}
	return out
}

// running tells whether a process does anything still: one that has ended is there
// until its parent, or else init, asks for it, which may take init a second.
func running(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	state := stat[bytes.LastIndexByte(stat, ')')+2] // proc_pid_stat(5)
	return state != 'Z' && state != 'X'
}
