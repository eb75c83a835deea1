package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// taskRemove is the part of RemoveAll that is done in a worker process.
const taskRemove = "remove"

func removeInside(w *Worker) error {
	var path string
	if err := w.Request(&path); err != nil {
		return err
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return w.Answer(struct{}{})
}

// RemoveAll removes a tree that worker processes have made, which has files of
// users of their namespace that this process's user may not touch.
func RemoveAll(ctx context.Context, path string) error {
	if err := os.RemoveAll(path); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	var answer struct{}
	p, err := Start(ctx, nil, taskRemove, path, &answer)
	if err != nil {
		return err
	}
	return p.Close(ctx, time.Minute)
}
