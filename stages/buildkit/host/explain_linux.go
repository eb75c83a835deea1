package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// userNamespaces returns an error that names the setting that forbids user
// namespaces, if one does.
func (k kernel) userNamespaces() error {
	if _, err := os.Stat(filepath.Join(string(k), "self/ns/user")); err != nil {
		return errors.New("this kernel has no user namespaces (CONFIG_USER_NS): run as root, or build with another kernel")
	}
	if k.setting("user/max_user_namespaces") == "0" {
		return errors.New("user namespaces are turned off (user.max_user_namespaces is 0): as root, sysctl -w user.max_user_namespaces=28633")
	}
	if k.setting("kernel/unprivileged_userns_clone") == "0" {
		return errors.New("user namespaces are for root only (kernel.unprivileged_userns_clone is 0): as root, sysctl -w kernel.unprivileged_userns_clone=1")
	}
	return nil
}

// explain adds to an error of making namespaces what stands behind it, as far as
// that can be known.
func (i Isolation) explain(err error) error { return machine.explain(err, i.UserNamespace) }

func (k kernel) explain(err error, user bool) error {
	forbidden := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
	switch {
	case user && (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EUSERS)):
		return fmt.Errorf("%w: too many user namespaces (user.max_user_namespaces is %s), or more than 32 within each other", err, k.setting("user/max_user_namespaces"))
	case !forbidden:
		return err
	case user && k.setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
		return fmt.Errorf("%w: AppArmor takes the rights of root in user namespaces from programs without a profile: as root, sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give this program a profile with \"userns,\"", err)
	case k.confined():
		return fmt.Errorf("%w: this container's seccomp or AppArmor profile forbids it: in Docker run it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined, in Kubernetes with seccompProfile and appArmorProfile of type Unconfined", err)
	}
	return err
}

// confined tells whether a seccomp filter or an AppArmor profile stands over this
// process.
func (k kernel) confined() bool {
	if k.status("Seccomp") == "2" {
		return true
	}
	profile, err := os.ReadFile(filepath.Join(string(k), "self/attr/apparmor/current"))
	return err == nil && len(profile) > 0 && string(profile) != "unconfined\n"
}
