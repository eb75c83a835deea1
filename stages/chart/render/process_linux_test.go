package render

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/stages/chart/render/wire"
)

// renderers are the processes that render for this one.
func renderers(t *testing.T) (pids []string) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		line, _ := os.ReadFile(dir + "/cmdline") // it may have ended
		status, _ := os.ReadFile(dir + "/status")
		if string(line) == wire.Name+"\x00" && strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())) {
			pids = append(pids, filepath.Base(dir))
		}
	}
	return pids
}

// With the context ends the process, whatever the templates do.
func TestProcessIsKilled(t *testing.T) {
	slow := load(t, chartOf(map[string]string{"templates/a.yaml": "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}"}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := Render(ctx, slow, Options{})
		done <- err
	}()
	time.Sleep(time.Second) // so that it is at work
	if pids := renderers(t); len(pids) != 1 {
		t.Errorf("there are the processes %v", pids)
	}
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Second):
		t.Fatal("it goes on")
	}
	if pids := renderers(t); len(pids) != 0 {
		t.Errorf("the processes %v are left", pids)
	}
}
