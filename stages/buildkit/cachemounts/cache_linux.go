package cachemounts

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/pb"
	"golang.org/x/sys/unix"
)

// cache is one cache mount of a RUN.
type cache struct {
	id       string
	sharing  pb.CacheSharingOpt
	owned    bool // the Dockerfile says whose it is: uid, gid and mode
	uid, gid int
	mode     fs.FileMode
}

// cachesOf are the cache mounts of a RUN that can be kept in a directory, by
// where they are mounted.
func cachesOf(exec *pb.ExecOp, inputs []solver.Edge) map[string]cache {
	caches := map[string]cache{}
	for _, m := range exec.Mounts {
		if m.MountType != pb.MountType_CACHE || m.CacheOpt == nil {
			continue
		}
		c := cache{id: strings.TrimPrefix(m.CacheOpt.ID, "/"), sharing: m.CacheOpt.Sharing, mode: 0o755}
		if m.Input != int64(pb.Empty) {
			made := madeDirectory(inputs, m.Input)
			if made == nil || path.Join("/", m.Selector) != path.Join("/", made.Path) {
				continue
			}
			c.owned, c.mode = true, fs.FileMode(made.Mode).Perm()
			c.uid, c.gid = int(made.GetOwner().GetUser().GetByID()), int(made.GetOwner().GetGroup().GetByID())
		} else if path.Join("/", m.Selector) != "/" {
			continue
		}
		dest := m.Dest
		if !path.IsAbs(dest) {
			dest = path.Join("/", exec.GetMeta().GetCwd(), dest)
		}
		caches[dest] = c
	}
	return caches
}

// madeDirectory is an input that is one new directory and nothing else: so
// BuildKit's conversion says the owner and the mode of a cache mount.
func madeDirectory(inputs []solver.Edge, n int64) *pb.FileActionMkDir {
	if n < 0 || n >= int64(len(inputs)) {
		return nil
	}
	op, ok := inputs[n].Vertex.Sys().(*pb.Op)
	if !ok || len(op.Inputs) > 0 || len(op.GetFile().GetActions()) != 1 {
		return nil
	}
	return op.GetFile().GetActions()[0].GetMkdir()
}

// name is the name of the cache's directory. What is escaped holds no comma.
func (c cache) name() string {
	name := url.PathEscape(c.id)
	if strings.Trim(name, ".") == "" { // not this directory or the one above
		name = "%" + name
	}
	if len(name) > 150 { // file names have 255 bytes
		name = fmt.Sprintf("%.100s,%x", name, sha256.Sum256([]byte(c.id)))
	}
	if c.owned {
		name += fmt.Sprintf(",uid=%d,gid=%d,mode=%04o", c.uid, c.gid, c.mode)
	}
	return name
}

// lockPoll is how long a RUN that waits for a cache sleeps between two looks, as
// BuildKit does.
const lockPoll = 100 * time.Millisecond

// take finds the directory below parent that the RUN may use until release is
// called: sharing decides as in BuildKit. A shared cache is used by all who share
// it, a private one by one RUN, the next having another directory; a locked one is
// waited for, and waiting is called once before that.
func (c cache) take(ctx context.Context, parent string, waiting func()) (dir string, release func(), err error) {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", nil, err
	}
	how := unix.LOCK_EX
	if c.sharing == pb.CacheSharingOpt_SHARED {
		how = unix.LOCK_SH
	}
	for n := 0; ; {
		dir = filepath.Join(parent, strconv.Itoa(n))
		release, err = lock(dir+".lock", how)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return "", nil, err
		}
		if c.sharing != pb.CacheSharingOpt_LOCKED {
			n++
			continue
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return "", nil, context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
	if err := c.make(dir); err != nil {
		release()
		return "", nil, err
	}
	return dir, release, nil
}

// lock takes a lock that is gone when the process is, however it ends.
func lock(file string, how int) (release func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", file, err)
	}
	return func() { f.Close() }, nil //nolint:errcheck // nothing was written
}

// make sees to the directory and, since one that shares it may have made it just
// now, to its owner and mode.
func (c cache) make(dir string) error {
	err := os.Mkdir(dir, c.mode)
	exists := errors.Is(err, fs.ErrExist)
	if err != nil && !exists {
		return err
	}
	if exists && !c.owned {
		return nil // a RUN may have given it another
	}
	return errors.Join(os.Chown(dir, c.uid, c.gid), os.Chmod(dir, c.mode))
}
