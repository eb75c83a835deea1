package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bakeMachine is a buildkitd of its own with a buildx that knows it. Where
// nothing is kept between builds, that is what CI runs `docker buildx bake` on.
type bakeMachine struct {
	buildx string
	dir    string
	daemon *exec.Cmd
	ended  chan struct{}
	log    bytes.Buffer
}

const builder = "bench"

// newBakeMachine starts a buildkitd with its state under dir and waits until it
// answers.
func newBakeMachine(ctx context.Context, buildx, buildkitd, dir string, f *Front) (*bakeMachine, error) {
	m := &bakeMachine{buildx: buildx, dir: dir, ended: make(chan struct{})}
	if err := writeDockerConfig(filepath.Join(dir, "docker"), f); err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`[registry."docker.io"]
  mirrors = [%[1]q]
[registry.%[1]q]
  http = true
`, f.Host)
	path := filepath.Join(dir, "buildkitd.toml")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return nil, fmt.Errorf("starting buildkitd: %w", err)
	}
	m.daemon = exec.Command(buildkitd, "--config", path, "--root", filepath.Join(dir, "state"),
		"--addr", m.address(), "--oci-worker=true", "--containerd-worker=false", "--oci-worker-net=host",
		"--otel-socket-path", filepath.Join(dir, "otel.sock"))
	m.daemon.Env = m.env()
	m.daemon.Stdout, m.daemon.Stderr = &m.log, &m.log
	m.daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which ends it
	if err := m.daemon.Start(); err != nil {
		return nil, fmt.Errorf("starting buildkitd: %w", err)
	}
	go func() {
		_ = m.daemon.Wait() // it ends by being told to
		close(m.ended)
	}()
	if err := m.ready(ctx); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *bakeMachine) address() string { return "unix://" + filepath.Join(m.dir, "buildkitd.sock") }

func (m *bakeMachine) env() []string {
	return append(baseEnv(),
		"HOME="+m.dir, "DOCKER_CONFIG="+filepath.Join(m.dir, "docker"), "BUILDX_CONFIG="+filepath.Join(m.dir, "buildx"),
		"BUILDX_NO_DEFAULT_ATTESTATIONS=1", "BUILDX_BAKE_ENTITLEMENTS_FS=0",
		// Traces of builds go into the history, which is slow and asked for by nobody.
		"OTEL_TRACES_SAMPLER=always_off",
	)
}

// ready waits for the daemon and makes it known to buildx.
func (m *bakeMachine) ready(ctx context.Context) error {
	for {
		conn, err := net.Dial("unix", strings.TrimPrefix(m.address(), "unix://"))
		if err == nil {
			conn.Close()
			break
		}
		select {
		case <-m.ended:
			return fmt.Errorf("buildkitd ended at once\n%s", tail(m.log.Bytes()))
		case <-ctx.Done():
			return fmt.Errorf("waiting for buildkitd: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	for _, args := range [][]string{
		{"create", "--name", builder, "--driver", "remote", m.address()},
		{"inspect", builder},
	} {
		if _, err := run(ctx, command{argv: append([]string{m.buildx}, args...), env: m.env()}); err != nil {
			return fmt.Errorf("making buildkitd known to buildx: %w", err)
		}
	}
	return nil
}

func (m *bakeMachine) command(_ Scenario, side Side, w *world, f *Front) (command, error) {
	path := filepath.Join(m.dir, "bake.json")
	content, err := bakeFile(w.repo.Shape, f.Host, side.Cache)
	if err == nil {
		err = os.WriteFile(path, content, 0o644)
	}
	if err != nil {
		return command{}, fmt.Errorf("writing the bake file: %w", err)
	}
	argv := []string{m.buildx, "bake", "--builder", builder, "--file", path, "--progress", "plain"}
	return command{argv: argv, dir: w.repo.Dir, env: m.env()}, nil
}

// bakeFile has a target for each image, which is pushed.
func bakeFile(s Shape, host string, cache bool) ([]byte, error) {
	if s.Depth > 0 || s.Platforms > 1 {
		return nil, errors.New("only images on their own, for one platform, can be compared")
	}
	targets := map[string]any{}
	for _, name := range s.services() {
		target := map[string]any{
			"context": "services/" + name,
			"tags":    []string{host + "/bake/" + name + ":latest"},
			"output":  []string{"type=registry"},
		}
		if cache {
			ref := "type=registry,ref=" + host + "/bake-cache/" + name + ":latest"
			target["cache-from"] = []string{ref}
			target["cache-to"] = []string{ref + ",mode=max"}
		}
		targets[name] = target
	}
	return json.Marshal(map[string]any{
		"group":  map[string]any{"default": map[string]any{"targets": s.services()}},
		"target": targets,
	})
}

// usage reads what Linux says of the daemon in /proc (proc(5)).
func (m *bakeMachine) usage() (func() (Cost, error), error) {
	proc := filepath.Join("/proc", strconv.Itoa(m.daemon.Process.Pid))
	// 5 makes the peak of what is resident begin anew.
	if err := os.WriteFile(filepath.Join(proc, "clear_refs"), []byte("5"), 0); err != nil {
		return nil, fmt.Errorf("measuring buildkitd: %w", err)
	}
	before, err := cpuTime(proc)
	if err != nil {
		return nil, fmt.Errorf("measuring buildkitd: %w", err)
	}
	return func() (Cost, error) {
		after, err := cpuTime(proc)
		if err != nil {
			return Cost{}, fmt.Errorf("measuring buildkitd: %w", err)
		}
		rss, err := peak(proc)
		if err != nil {
			return Cost{}, fmt.Errorf("measuring buildkitd: %w", err)
		}
		return Cost{CPU: after - before, RSS: rss}, nil
	}, nil
}

// cpuTime is the time of a process and of those that it has waited for.
func cpuTime(proc string) (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return 0, err
	}
	// The second field, a name in brackets, may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 15 {
		return 0, errors.New("/proc/PID/stat is short")
	}
	ticks := 0
	for _, field := range fields[11:15] { // utime stime cutime cstime
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil // USER_HZ is 100
}

func peak(proc string) (int64, error) {
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmHWM")
}

// close ends the daemon and removes its state.
func (m *bakeMachine) close() error {
	_ = m.daemon.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-m.ended:
	case <-time.After(20 * time.Second):
		_ = m.daemon.Process.Kill()
		<-m.ended
	}
	return removeAll(m.dir)
}
