package main

import (
	"strings"
	"testing"

	"slipway/cmd/internal/testenv"
)

// onBusybox is a builder's configuration: it takes the images of Docker Hub, and
// there is busybox, from the registry.
func builderFor(registry *testenv.RegistryServer) testenv.BuildkitdOptions {
	return testenv.BuildkitdOptions{
		Config:  "[registry.\"docker.io\"]\nmirrors = [\"" + registry.Host + "\"]\n",
		Reaches: []string{registry.Host},
	}
}

func TestBuilder(t *testing.T) {
	registry := busyRegistry(t)
	builder := testenv.Buildkitd(t, builderFor(registry))
	repo := testenv.GitRepo(t, busyApp("echo there >/said"))
	cli := testenv.Slipway(t)
	r := cli.Run(repo.Dir, nil, "export", "--repo", registry.Host+"/app", "--tag", registry.Host+"/published:v1",
		"--container-registry-mirror", "http://"+registry.Host, "--builder", builder.Address).Must(t)
	if !strings.Contains(r.Stderr, "RUN echo there") {
		t.Errorf("%s", r.Stderr)
	}
}
