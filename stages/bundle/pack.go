package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"slipway/stages/chart"

	"helm.sh/helm/v3/pkg/chart/loader"
)

const valuesFile = "values.yaml"

// pack is the files of a chart in the order of its archive, with the archives of
// sub-charts among them opened.
type pack struct {
	root  string // directory that the archive holds the files in
	files []*loader.BufferedFile
	inner map[*loader.BufferedFile]*pack
}

var (
	// Helm leaves out of charts/ what begins with a dot or an underscore.
	valuesPath  = regexp.MustCompile(`^((?:charts/[^/._][^/]*/)*)values\.yaml$`)
	archivePath = regexp.MustCompile(`^(?:charts/[^/._][^/]*/)*charts/[^/._][^/]*\.tgz$`)
)

// maxNesting bounds archives in archives.
const maxNesting = 10

func readPack(archive []byte) (*pack, error) { return readNested(archive, 0) }

func readNested(archive []byte, depth int) (*pack, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("sub-charts are nested more than %d deep", maxNesting)
	}
	files, err := loader.LoadArchiveFiles(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	root, err := rootOf(archive)
	if err != nil {
		return nil, err
	}
	p := &pack{root: root, files: files, inner: map[*loader.BufferedFile]*pack{}}
	for _, f := range files {
		if !archivePath.MatchString(f.Name) {
			continue
		}
		if p.inner[f], err = readNested(f.Data, depth+1); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return p, nil
}

func (p *pack) find(name string) *loader.BufferedFile {
	i := slices.IndexFunc(p.files, func(f *loader.BufferedFile) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return p.files[i]
}

// documents are the values of the chart and of its sub-charts, outer ones first.
// at is the path of the chart in the bundle, with a slash at its end.
func (p *pack) documents(at string) ([]*document, error) {
	var docs []*document
	for _, f := range p.files {
		m := valuesPath.FindStringSubmatch(f.Name)
		if m == nil {
			continue
		}
		doc, err := readDocument(f, strings.TrimSuffix(at+m[1], "/"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at+f.Name, err)
		}
		docs = append(docs, doc)
	}
	slices.SortStableFunc(docs, func(a, b *document) int { return strings.Compare(a.chart, b.chart) })
	for _, f := range p.files {
		inner := p.inner[f]
		if inner == nil {
			continue
		}
		dir, _ := path.Split(f.Name)
		more, err := inner.documents(at + dir + inner.root + "/")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		docs = append(docs, more...)
	}
	return docs, nil
}

// with is the files with other texts in some; archives that hold one of them are
// written anew.
func (p *pack) with(texts map[*loader.BufferedFile][]byte) ([]*loader.BufferedFile, error) {
	out := slices.Clone(p.files)
	for i, f := range out {
		if inner := p.inner[f]; inner != nil && inner.touched(texts) {
			files, err := inner.with(texts)
			if err != nil {
				return nil, err
			}
			data, err := chart.WriteArchive(inner.root, files)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			out[i] = &loader.BufferedFile{Name: f.Name, Data: data}
		} else if text, ok := texts[f]; ok {
			out[i] = &loader.BufferedFile{Name: f.Name, Data: text}
		}
	}
	return out, nil
}

func (p *pack) touched(texts map[*loader.BufferedFile][]byte) bool {
	for _, f := range p.files {
		if _, ok := texts[f]; ok {
			return true
		}
		if inner := p.inner[f]; inner != nil && inner.touched(texts) {
			return true
		}
	}
	return false
}

// rootOf is the directory that an archive holds its chart in, which Helm's loader
// does not tell.
func rootOf(archive []byte) (string, error) {
	gz, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return "", err
	}
	defer gz.Close()
	header, err := tar.NewReader(gz).Next()
	if err != nil {
		return "", err
	}
	root, _, _ := strings.Cut(path.Clean(strings.ReplaceAll(header.Name, `\`, "/")), "/")
	return root, nil
}
