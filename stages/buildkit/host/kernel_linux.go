package host

import (
	"os"
	"path/filepath"
	"strings"
)

// kernel is the directory in which a kernel tells of itself and of this process.
type kernel string

const machine kernel = "/proc"

// status is a field of this process's state, "" if the kernel does not have it.
func (k kernel) status(field string) string {
	content, err := os.ReadFile(filepath.Join(string(k), "self/status"))
	if err != nil {
		return ""
	}
	return statusField(string(content), field)
}

// statusField finds a field in a status file (proc_pid_status(5)).
func statusField(content, field string) string {
	for line := range strings.Lines(content) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// setting is a kernel setting, "" if there is none of the name (proc_sys(5)).
func (k kernel) setting(name string) string {
	content, err := os.ReadFile(filepath.Join(string(k), "sys", name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}
