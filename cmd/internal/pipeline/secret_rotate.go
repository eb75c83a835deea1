package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway/planner"
	"slipway/planner/diag"
	"slipway/stages/chart/secret"
)

// RotateOptions are what RotateSecrets takes.
type RotateOptions struct {
	Project planner.Options // says where the chart is
	Secret  SecretOptions   // the new key; Dir is that of Project
	OldKey  string
	Files   []string // files of values beside secret-values.yaml of the chart
}

// RotateSecrets encrypts with the new key what the old one can decrypt: the
// chart's secret-values.yaml, all files below its directory secret, and the
// given files. It returns those it changed. What has the new key already stays
// as it is, so that a rotation can be repeated. No file is changed before all
// can be.
func RotateSecrets(ctx context.Context, o RotateOptions) (_ []string, err error) {
	o.Secret.Dir = o.Project.Dir
	newKey, err := o.Secret.key()
	if err != nil {
		return nil, err
	}
	if o.OldKey == "" {
		return nil, &diag.Diagnostic{Message: "$WERF_OLD_SECRET_KEY is not set", Advice: "set it to the key that the files have now; the new one is $WERF_SECRET_KEY or in " + secretKeyFile}
	}
	oldKey, err := parseSecretKey("$WERF_OLD_SECRET_KEY", o.OldKey)
	if err != nil {
		return nil, err
	}
	dir, err := chartDir(ctx, o.Project)
	if err != nil {
		return nil, err
	}
	texts, err := secretTexts(dir, o.Files)
	if err != nil {
		return nil, err
	}
	var ready []*staged
	defer func() {
		for _, s := range ready {
			s.discard()
		}
	}()
	var changed []string
	for _, t := range texts {
		data, err := rotate(oldKey, newKey, t)
		if err != nil {
			return nil, err
		}
		if data == nil {
			continue
		}
		s, err := stage(t.Name, data, 0o644)
		if err != nil {
			return nil, err
		}
		ready, changed = append(ready, s), append(changed, t.Name)
	}
	for _, s := range ready {
		if err := s.commit(); err != nil {
			return nil, fmt.Errorf("%w; run the rotation again to complete it", err)
		}
	}
	return changed, nil
}

// rotate returns nil if there is nothing to do.
func rotate(oldKey, newKey *secret.Key, t SecretText) ([]byte, error) {
	plain, err := decrypt(oldKey, t)
	if err != nil {
		if _, newErr := decrypt(newKey, t); newErr == nil {
			return nil, nil
		}
		return nil, fmt.Errorf("decrypting with the old key: %w", err)
	}
	if len(plain) == 0 && len(t.Data) == 0 {
		return nil, nil
	}
	return encrypt(newKey, SecretText{Data: plain, Values: t.Values, Name: t.Name})
}

// chartDir is where the project's chart is on disk.
func chartDir(ctx context.Context, o planner.Options) (_ string, err error) {
	p, err := planner.OpenProject(ctx, o)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return filepath.Join(o.Dir, filepath.FromSlash(p.Config.Meta.ChartDir)), nil
}

// secretTexts reads the secrets of a chart and the given files of values, each
// once.
func secretTexts(dir string, files []string) ([]SecretText, error) {
	var texts []SecretText
	var seen []os.FileInfo
	read := func(name string, values bool) error {
		info, err := os.Stat(name)
		if err != nil || slices.ContainsFunc(seen, func(s os.FileInfo) bool { return os.SameFile(s, info) }) {
			return err
		}
		seen = append(seen, info)
		data, err := os.ReadFile(name)
		texts = append(texts, SecretText{Data: data, Values: values, Name: name})
		return err
	}
	for _, name := range files {
		if err := read(name, true); err != nil {
			return nil, fmt.Errorf("reading a file of secret values: %w", err)
		}
	}
	if err := read(filepath.Join(dir, "secret-values.yaml"), true); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the chart's secret values: %w", err)
	}
	dir = filepath.Join(dir, "secret")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return texts, nil
	}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return read(name, false)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the chart's secret files: %w", err)
	}
	return texts, nil
}
