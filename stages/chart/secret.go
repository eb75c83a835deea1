package chart

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	yamlv3 "gopkg.in/yaml.v3"
	helm "helm.sh/helm/v3/pkg/chart"
)

// secretFile is a file that holds encrypted values or is wholly encrypted.
var secretFile = regexp.MustCompile(`^(?:(?:charts/[^/]+/)*secret-values\.yaml|secret/.+)$`)

// encrypted is what a text looks like that the reference's encryption made. No key
// is needed to tell a secret that somebody forgot to encrypt.
var encrypted = regexp.MustCompile(`^(?:[0-9a-f]{2})*$`)

// templateComment is left out when looking for functions that templates call.
var templateComment = regexp.MustCompile(`(?s)\{\{-?\s*/\*.*?\*/\s*-?\}\}`)

// secrets merges the chart's encrypted values and those given, the later over the
// earlier, and leaves them encrypted.
func (s *Source) secrets(v Values) error {
	if v.NoDefaultSecrets {
		delete(s.files, secretValuesFile)
	}
	var files []File
	if data, ok := s.files[secretValuesFile]; ok {
		files = append(files, File{Name: s.shown(secretValuesFile), Data: data})
	}
	files = append(files, v.SecretFiles...)
	if len(files) == 0 {
		return nil
	}
	merged, err := mergeEncrypted(files)
	if err != nil {
		return err
	}
	s.files[secretValuesFile] = merged
	return nil
}

// mergeEncrypted merges files of encrypted values: maps at every depth, anything
// else of a later file replaces. The encrypted texts stay as they are written.
func mergeEncrypted(files []File) ([]byte, error) {
	all := &yamlv3.Node{Kind: yamlv3.MappingNode}
	for _, f := range files {
		var doc yamlv3.Node
		if err := yamlv3.Unmarshal(f.Data, &doc); err != nil {
			return nil, wrongIn(f.Name, f.Data, err)
		}
		if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue
		}
		root := doc.Content[0]
		if root.Kind != yamlv3.MappingNode {
			return nil, wrongIn(f.Name, f.Data, errors.New("must be a map of values"))
		}
		if err := checkEncrypted(f, root, ""); err != nil {
			return nil, err
		}
		mergeNodes(all, root)
	}
	return yamlv3.Marshal(all)
}

func mergeNodes(base, over *yamlv3.Node) {
	for i := 0; i < len(over.Content); i += 2 {
		key, value := over.Content[i], over.Content[i+1]
		at := -1
		for j := 0; j < len(base.Content); j += 2 {
			if base.Content[j].Value == key.Value {
				at = j + 1
			}
		}
		switch {
		case at < 0:
			base.Content = append(base.Content, key, value)
		case value.Kind == yamlv3.MappingNode && base.Content[at].Kind == yamlv3.MappingNode:
			mergeNodes(base.Content[at], value)
		default:
			base.Content[at] = value
		}
	}
}

// checkEncrypted refuses a value that is not encrypted: it would be published for
// all to read. The error does not show it.
func checkEncrypted(f File, n *yamlv3.Node, at string) error {
	wrong := func(format string, args ...any) error {
		e := &Error{File: f.Name, Line: n.Line, Message: fmt.Sprintf(format, args...)}
		return e.advise("encrypt it with the project's key, or keep it out of the files of secrets")
	}
	switch n.Kind {
	case yamlv3.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			if err := checkEncrypted(f, n.Content[i+1], at+"."+n.Content[i].Value); err != nil {
				return err
			}
		}
	case yamlv3.SequenceNode:
		for i, item := range n.Content {
			if err := checkEncrypted(f, item, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case yamlv3.ScalarNode:
		if n.Tag != "!!null" && !encrypted.MatchString(n.Value) {
			return wrong("the value of %s is not encrypted", strings.TrimPrefix(at, "."))
		}
	default:
		return wrong("anchors and aliases cannot be used for encrypted values")
	}
	return nil
}

// checkSecrets refuses secrets that are not encrypted.
func (s *Source) checkSecrets() error {
	for _, name := range s.Files() {
		switch data := s.files[name]; {
		case !secretFile.MatchString(name) || name == secretValuesFile:
		case strings.HasPrefix(name, "secret/"):
			if !encrypted.Match(bytes.TrimSpace(data)) {
				return s.wrong(name, errors.New("the file is not encrypted")).advise("encrypt it with the project's key, or move it out of %s", s.shown("secret"))
			}
		default:
			if _, err := mergeEncrypted([]File{{Name: s.shown(name), Data: data}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// NeedsSecrets tells why Helm by itself cannot install the chart: what it uses that
// only an installer with the key can give. It is empty if nothing does.
func (s *Source) NeedsSecrets() string {
	if name := callsSecrets(s.chart, ""); name != "" {
		return name + " calls werf_secret_file"
	}
	if _, ok := s.files[secretValuesFile]; ok {
		return secretValuesFile + " is encrypted"
	}
	return ""
}

func callsSecrets(c *helm.Chart, place string) string {
	for _, t := range c.Templates {
		if strings.Contains(templateComment.ReplaceAllString(string(t.Data), ""), "werf_secret_file") {
			return place + t.Name
		}
	}
	for _, sub := range c.Dependencies() {
		if name := callsSecrets(sub, place+"charts/"+sub.Name()+"/"); name != "" {
			return name
		}
	}
	return ""
}
