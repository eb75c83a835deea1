package bench

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// machine is where a side runs: with its state, which may be new or kept.
type machine interface {
	// command is the side's in a scenario, for the registry behind a front.
	command(s Scenario, side Side, w *world, f *Front) (command, error)
	// usage begins to count what the machine's daemon costs; the function that it
	// returns ends that. There may be no daemon.
	usage() (func() (Cost, error), error)
	close() error
}

// slipwayMachine is a home directory.
type slipwayMachine struct {
	path, home string
}

// Where slipway keeps a project's images: what it has built, and what stands for
// that in scenarios that are seeded.
const (
	built  = "slipway"
	seeded = "seeded"
)

func newSlipwayMachine(path, home string, f *Front) (*slipwayMachine, error) {
	m := &slipwayMachine{path: path, home: home}
	if err := writeDockerConfig(filepath.Join(home, ".docker"), f); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *slipwayMachine) env() []string {
	return append(baseEnv(),
		"HOME="+m.home,
		"XDG_STATE_HOME="+filepath.Join(m.home, "state"),
		"XDG_CACHE_HOME="+filepath.Join(m.home, "cache"),
		"XDG_CONFIG_HOME="+filepath.Join(m.home, "config"),
		"XDG_DATA_HOME="+filepath.Join(m.home, "data"),
		"DOCKER_CONFIG="+filepath.Join(m.home, ".docker"),
		"GIT_CONFIG_NOSYSTEM=1",
	)
}

func (m *slipwayMachine) command(s Scenario, side Side, w *world, f *Front) (command, error) {
	argv := append([]string{m.path}, side.Args...)
	for i := range argv {
		argv[i] = strings.ReplaceAll(argv[i], "$REGISTRY", f.Host)
	}
	if !side.Local {
		repository := built
		if s.Seeded {
			repository = seeded
		}
		argv = append(argv, "--repo", f.Host+"/"+repository, "--container-registry-mirror", "http://"+f.Host)
	}
	return command{argv: argv, dir: w.repo.Dir, env: m.env()}, nil
}

func (m *slipwayMachine) usage() (func() (Cost, error), error) {
	return func() (Cost, error) { return Cost{}, nil }, nil
}

func (m *slipwayMachine) close() error { return removeAll(m.home) }

// keys are the tags under which the repository keeps what HEAD gives.
func (m *slipwayMachine) keys(ctx context.Context, dir string) ([]string, error) {
	out, err := run(ctx, command{argv: []string{m.path, "plan", "--output", "json"}, dir: dir, env: m.env()})
	if err != nil {
		return nil, err
	}
	var plan struct{ Images []struct{ Key string } }
	if err := json.Unmarshal([]byte(out), &plan); err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	var keys []string
	for _, image := range plan.Images {
		keys = append(keys, image.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// writeDockerConfig writes the password for a registry that wants one.
func writeDockerConfig(dir string, f *Front) error {
	config := map[string]any{}
	if f.Link.Bearer {
		auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
		config["auths"] = map[string]any{f.Host: map[string]string{"auth": auth}}
	}
	content, err := json.Marshal(config)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), content, 0o600)
	}
	if err != nil {
		return fmt.Errorf("making a machine: %w", err)
	}
	return nil
}

// removeAll removes a directory also where builds have left directories that
// nobody may write to.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}
