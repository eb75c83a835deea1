package stages

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/oci"
)

func TestBuild(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		repo, solver := w.repo(t, "app"), &fakeSolver{session: w.session}
		stage := NewBuild(repo, key("app"), recipe("app"), solver, nil)
		done := w.unwritten(t)
		if result, found, err := stage.Find(t.Context()); found || err != nil {
			t.Fatalf("found %v (%v) in an empty repository", result, err)
		}
		done()
		made, err := stage.Run(t.Context(), nil)
		check(t, err)
		image := made.(Image)
		if want := w.place + "app:" + key("app").String(); image.Ref() != want {
			t.Errorf("the image is %s, want %s", image.Ref(), want)
		}
		if got := names(t, repo, key("app").String()); got != image.Desc.Digest.String() {
			t.Errorf("the key tag names %q, want %s", got, image.Desc.Digest)
		}
		found, ok, err := stage.Find(t.Context())
		if err != nil || !ok || found.(Image).Ref() != image.Ref() || found.(Image).Desc.Digest != image.Desc.Digest {
			t.Errorf("found %v, %v, %v; want %v", found, ok, err, image)
		}
		if _, ok, err := NewBuild(repo, key("other"), nil, nil, nil).Find(t.Context()); ok || err != nil {
			t.Errorf("another key is found: %v, %v", ok, err)
		}
	})
}

// Another run that has written the key tag meanwhile wins, whatever it built.
func TestBuildAdoptsTheWinner(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		repo := w.repo(t, "app")
		var winner Image
		solver := &fakeSolver{session: w.session, hook: func(ctx context.Context, _ Build) error {
			desc, err := pushImage(ctx, repo, config("faster"))
			if err == nil {
				winner, err = keyed{Repo: repo, Key: key("app")}.claim(ctx, desc)
			}
			return err
		}}
		made, err := NewBuild(repo, key("app"), recipe("app"), solver, nil).Run(t.Context(), nil)
		check(t, err)
		if got := made.(Image).Desc.Digest; got != winner.Desc.Digest {
			t.Errorf("the image is %s, want the winner's %s", got, winner.Desc.Digest)
		}
		if got := names(t, repo, key("app").String()); got != winner.Desc.Digest.String() {
			t.Errorf("the key tag was moved to %s", got)
		}
	})
}

func TestBuildFails(t *testing.T) {
	broken := func(context.Context, Build) error { return errBroken }
	noRecipe := func(context.Context, []Image) (Build, error) { return Build{}, errBroken }
	everywhere(t, func(t *testing.T, w *world) {
		repo := w.repo(t, "app")
		for name, stage := range map[string]*BuildStage{
			"recipe": NewBuild(repo, key("app"), noRecipe, &fakeSolver{session: w.session}, nil),
			"solver": NewBuild(repo, key("app"), recipe("app"), &fakeSolver{session: w.session, hook: broken}, nil),
		} {
			if result, err := stage.Run(t.Context(), nil); !errors.Is(err, errBroken) {
				t.Errorf("%s: got %v, %v", name, result, err)
			}
		}
		if got := names(t, repo, key("app").String()); got != "" {
			t.Errorf("the key tag names %s", got)
		}
	})
}

// A directory that holds something else is refused before anything is solved.
func TestBuildIntoAForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "letter.txt"), nil, 0o644))
	w := newWorld(t, "oci:"+filepath.Dir(dir)+"/")
	solver := &fakeSolver{session: w.session}
	_, err := NewBuild(w.repo(t, filepath.Base(dir)), key("app"), recipe("app"), solver, nil).Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "letter.txt") {
		t.Errorf("got %v", err)
	}
	if got := solver.take(); len(got) > 0 {
		t.Errorf("%v was solved", got)
	}
}

func TestFindFails(t *testing.T) {
	w := newWorld(t, places["registry"](t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, found, err := NewBuild(w.repo(t, "app"), key("app"), nil, nil, nil).Find(ctx)
	if found || !errors.Is(err, context.Canceled) {
		t.Errorf("a look-up that failed is %v, %v", found, err)
	}
	var e *oci.Error
	if !errors.As(err, &e) {
		t.Errorf("%v does not say what was looked up", err)
	}
}
