package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway/engine"
	"slipway/planner/diag"
	"slipway/stages"

	"github.com/containerd/platforms"
	digest "github.com/opencontainers/go-digest"
)

// useReport lets the report's images stand for those of the plan: each must be
// there, with the report's digest, and none is built. What the report says has to
// be what this commit asks for: an image whose key is another was made from
// something else.
func (r *run) useReport() error {
	doc, err := r.readReport()
	if err != nil {
		return err
	}
	var missing, other []string
	for _, image := range r.plan.Images {
		reported, ok := doc.Images[image.Name]
		if !ok {
			missing = append(missing, shown(image.Name))
			continue
		}
		d, err := digest.Parse(reported.DockerImageDigest)
		if err != nil {
			return &diag.Diagnostic{File: r.report, Message: fmt.Sprintf("image %q has the digest %q: %v", shown(image.Name), reported.DockerImageDigest, err), Advice: reportAdvice}
		}
		if reported.DockerTag != image.Key.String() {
			other = append(other, fmt.Sprintf("%s: it has %s, the plan has %s", shown(image.Name), reported.DockerTag, image.Key))
			continue
		}
		r.pin("image "+shown(image.Name), image.Key, d)
		for _, b := range image.Builds {
			platform := platforms.FormatAll(b.Platform)
			// Without a digest the key tag is enough: the index above holds the image.
			child, _ := digest.Parse(doc.ImagesByPlatform[image.Name][platform].DockerImageDigest)
			r.pin("image "+shown(image.Name)+" "+platform, b.Key, child)
		}
	}
	var wrong diag.List
	if len(missing) > 0 {
		wrong.Add(&diag.Diagnostic{File: r.report, Message: "the build report lacks images: " + strings.Join(missing, ", "), Advice: reportAdvice})
	}
	if len(other) > 0 {
		wrong.Add(&diag.Diagnostic{
			File:    r.report,
			Message: "the build report is of other images than those of this commit and these flags:\n  " + strings.Join(other, "\n  "),
			Advice:  reportAdvice,
		})
	}
	return wrong.Err()
}

const reportAdvice = "save it anew, at this commit and with the same flags: slipway build --save-build-report"

// pin lets an image that must be there stand for a key.
func (r *run) pin(id string, key engine.Key, d digest.Digest) {
	r.once(key, func() *engine.Node {
		return &engine.Node{ID: id, Kind: "image", Stage: stages.NewPinned(r.repo, key, d, r.report)}
	})
}

func (r *run) readReport() (*BuildReport, error) {
	text, err := os.ReadFile(r.report)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &diag.Diagnostic{Message: "--use-build-report: there is no " + r.report, Advice: "write it with slipway build --save-build-report"}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the build report: %w", err)
	}
	if filepath.Ext(r.report) == ".env" {
		if err := checkReportNames(r.plan.Images); err != nil {
			return nil, err
		}
		return parseEnvReport(text, r.plan.Images), nil
	}
	var doc BuildReport
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, &diag.Diagnostic{File: r.report, Message: "this is not a build report: " + err.Error(), Advice: reportAdvice}
	}
	return &doc, nil
}
