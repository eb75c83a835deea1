package testenv

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"
)

// RegistryProcess starts go-containerregistry's registry in a process of its own
// and returns its host, and what stops it before the test ends. What it holds
// is in files under dir.
func RegistryProcess(t testing.TB, dir string) (host string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("finding a free port: %v", err)
	}
	host = listener.Addr().String()
	listener.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, Tool(t, "crane"), "registry", "serve", "--address", host, "--disk", dir)
	cmd.Env = baseEnv()
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("starting a registry: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it ends by being killed
		close(ended)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	for {
		resp, err := http.Get("http://" + host + "/v2/")
		if err == nil {
			resp.Body.Close()
			return host, stop
		}
		select {
		case <-ended:
			t.Fatal("the registry ended at once")
		case <-t.Context().Done():
			t.Fatal("the registry does not answer")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
