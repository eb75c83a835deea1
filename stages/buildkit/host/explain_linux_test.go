package host

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What the kernel or a container forbids is told with the setting and the fix.
func TestExplain(t *testing.T) {
	const status = "self/status"
	tests := map[string]struct {
		files map[string]string // of /proc
		err   error             // of making the namespaces; nil where it is known before
		root  bool
		want  []string
	}{
		"no user namespaces":   {map[string]string{status: ""}, nil, false, []string{"CONFIG_USER_NS"}},
		"none allowed":         {map[string]string{"self/ns/user": "", "sys/user/max_user_namespaces": "0\n"}, nil, false, []string{"sysctl -w user.max_user_namespaces="}},
		"Debian's old setting": {map[string]string{"self/ns/user": "", "sys/kernel/unprivileged_userns_clone": "0\n"}, nil, false, []string{"sysctl -w kernel.unprivileged_userns_clone=1"}},
		"too many":             {map[string]string{"sys/user/max_user_namespaces": "7\n"}, unix.ENOSPC, false, []string{"user.max_user_namespaces is 7"}},
		"Ubuntu's setting":     {map[string]string{"sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"}, unix.EACCES, false, []string{"AppArmor", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"}},
		"seccomp":              {map[string]string{status: "Name:\tx\nSeccomp:\t2\n"}, unix.EPERM, true, []string{"seccomp=unconfined", "Kubernetes"}},
		"AppArmor":             {map[string]string{status: "Seccomp:\t0\n", "self/attr/apparmor/current": "docker-default (enforce)\n"}, unix.EACCES, true, []string{"apparmor=unconfined"}},
		"nothing known":        {map[string]string{status: "Seccomp:\t0\n", "self/attr/apparmor/current": "unconfined\n"}, unix.EPERM, true, []string{"operation not permitted"}},
		"another error":        {map[string]string{status: "Seccomp:\t2\n"}, unix.ENOMEM, true, []string{"cannot allocate memory"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range test.files {
				path := filepath.Join(dir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			err := kernel(dir).userNamespaces()
			if test.err != nil {
				err = kernel(dir).explain(test.err, !test.root)
				if !errors.Is(err, test.err) {
					t.Errorf("%v is not %v", err, test.err)
				}
			}
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
	if err := machine.explain(unix.ENOMEM, true); err != unix.ENOMEM {
		t.Errorf("more is said than is known: %v", err)
	}
}

func TestParseSubIDs(t *testing.T) {
	const content = "other:100000:65536\nme:165536:65536\n\n1000:300000:10\nme:x:1\nme:5:0\nme:1:2:3\n"
	want := []IDRange{{1, 165536, 65536}, {65537, 300000, 10}}
	if got := parseSubIDs(content, "me", "1000"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := parseSubIDs(content, "nobody", "1"); got != nil {
		t.Errorf("somebody without a line has %v", got)
	}
}

// Directories that overlays cannot be told are named as the reason.
func TestSnapshotterOfAnOddDirectory(t *testing.T) {
	for _, dir := range []string{"/a:b", "/a,b", `/a\b`} {
		if name, why := (Isolation{}).Snapshotter(dir); name != Native || len(why) != 1 || !strings.Contains(why[0].Error(), "a colon, a comma or a backslash") {
			t.Errorf("%s: %s, %v", dir, name, why)
		}
	}
}
