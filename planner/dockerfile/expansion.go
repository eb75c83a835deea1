package dockerfile

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// expansion is what the conversion over a stand-in config cannot show: the words
// that are expanded with variables which only the real base may define.
type expansion struct {
	// words are all words with a variable in them, of the instructions that the
	// target reaches, in the order of the file: STAGE.INSTRUCTION.WORD TEXT, stages
	// counted among those that are reached.
	words []string
	// needsBase is set when a path that is read from the context depends on a
	// variable that the Dockerfile does not define: the base decides what is read.
	needsBase bool
	// hidden are replacements that keep the conversion from asking ssh hosts.
	hidden []substitution
}

// variables are the variables whose values the Dockerfile itself decides.
type variables map[string]string

func (v variables) Get(key string) (string, bool) { s, ok := v[key]; return s, ok }
func (v variables) Keys() []string                { return slices.Sorted(maps.Keys(v)) }

// Parse parses a Dockerfile for Input.Parsed, when it is first wanted.
func Parse(text []byte) func() (*parser.Result, error) {
	return sync.OnceValues(func() (*parser.Result, error) { return parser.Parse(bytes.NewReader(text)) })
}

// expand walks the instructions that the target reaches. args are the build
// arguments, predefined ones (TARGETARCH…) the values that the builder sets.
// A Dockerfile that it cannot follow yields what was seen so far: the conversion
// has the last word on what is an error.
func expand(in Input, args, predefined map[string]string) (expansion, error) {
	parse, target := in.Parsed, in.Target
	if parse == nil {
		parse = Parse(in.Text)
	}
	ast, err := parse()
	if err != nil {
		return expansion{}, err
	}
	// Without a linter it crashes on "# check=" above an instruction.
	stages, global, err := instructions.Parse(ast.AST, linter.New(&linter.Config{}))
	if err != nil {
		return expansion{}, err
	}
	w := &walker{lex: shell.NewLex(ast.EscapeToken), args: args, global: variables{}, stages: stages, byName: map[string]int{}}
	maps.Copy(w.global, predefined)
	for _, cmd := range global {
		for _, arg := range cmd.Args {
			w.define(w.global, arg)
		}
	}
	for i := range stages {
		// A base is an earlier stage of that name, else an image.
		if name, ok := w.value(stages[i].BaseName, w.global); ok {
			stages[i].BaseName = name
		}
		w.bases = append(w.bases, -1)
		if j, ok := w.byName[strings.ToLower(stages[i].BaseName)]; ok {
			w.bases[i] = j
		}
		if j := w.bases[i]; j >= 0 {
			stages[i].Commands = append(triggers(stages[j]), stages[i].Commands...)
		}
		if stages[i].Name != "" {
			w.byName[strings.ToLower(stages[i].Name)] = i
		}
	}
	last := len(stages) - 1
	if i, ok := w.byName[strings.ToLower(target)]; ok && target != "" {
		last = i
	} else if target != "" {
		return expansion{}, &TargetError{Target: target, Stages: slices.Sorted(maps.Keys(w.byName))}
	}
	reached := make([]bool, len(stages))
	w.reach(last, reached)
	known := make([]variables, len(stages))
	for i, yes := range reached {
		if yes {
			known[i] = w.stage(i, known)
		}
	}
	return w.out, nil
}

type walker struct {
	lex    *shell.Lex
	args   map[string]string
	global variables
	stages []instructions.Stage
	byName map[string]int
	bases  []int // per stage: the stage it is based on, or -1
	out    expansion

	// Where the walk is: a word counts with its place, or two instructions could
	// swap their words.
	walked int // reached stages that are behind
	at     int // instruction in the stage
	word   int // in the instruction
}

// reach marks i and every stage that it needs.
func (w *walker) reach(i int, reached []bool) {
	if i < 0 || i >= len(reached) || reached[i] {
		return
	}
	reached[i] = true
	w.reach(w.bases[i], reached)
	for _, cmd := range w.stages[i].Commands {
		switch c := cmd.(type) {
		case *instructions.CopyCommand:
			if j, ok := w.find(c.From); ok {
				w.reach(j, reached)
			}
		case *instructions.RunCommand:
			for _, m := range instructions.GetMounts(c) {
				if j, ok := w.find(m.From); ok {
					w.reach(j, reached)
				}
			}
		}
	}
}

func (w *walker) find(from string) (int, bool) {
	if i, err := strconv.Atoi(from); err == nil {
		return i, true
	}
	i, ok := w.byName[strings.ToLower(from)]
	return i, ok && from != ""
}

// stage collects the words of one stage and returns the variables known at its
// end. Stages come after those that they are based on.
func (w *walker) stage(i int, known []variables) variables {
	vars := variables{}
	if b := w.bases[i]; b >= 0 {
		maps.Copy(vars, known[b])
	}
	for n, cmd := range w.stages[i].Commands {
		w.at, w.word = n, 0
		w.command(cmd, vars)
		switch c := cmd.(type) {
		case *instructions.ArgCommand:
			for _, arg := range c.Args {
				if arg.Value == nil {
					if v, ok := w.global[arg.Key]; ok {
						arg.Value = &v
					}
				}
				w.define(vars, arg)
			}
		case *instructions.EnvCommand:
			set := maps.Clone(vars) // one ENV does not see its own variables
			for _, kv := range c.Env {
				if v, ok := w.value(kv.Value, vars); ok {
					set[kv.Key] = v
				} else {
					delete(set, kv.Key)
				}
			}
			clear(vars)
			maps.Copy(vars, set)
		}
	}
	w.walked++
	return vars
}

// triggers are the ONBUILD instructions of a stage, which run in the stages
// that are based on it.
func triggers(s instructions.Stage) []instructions.Command {
	var out []instructions.Command
	for _, cmd := range s.Commands {
		if c, ok := cmd.(*instructions.OnbuildCommand); ok {
			ast, err := parser.Parse(strings.NewReader(c.Expression))
			if err != nil || len(ast.AST.Children) != 1 {
				continue
			}
			if t, err := instructions.ParseCommand(ast.AST.Children[0]); err == nil {
				out = append(out, t)
			}
		}
	}
	return out
}

// command records the words of one instruction that are subject to expansion.
// The instruction itself says which they are.
func (w *walker) command(cmd instructions.Command, vars variables) {
	readsContext := func(string) bool { return false }
	switch c := cmd.(type) {
	case *instructions.CopyCommand:
		if c.From == "" {
			readsContext = func(word string) bool { return slices.Contains(c.SourcePaths, word) }
		}
	case *instructions.AddCommand:
		readsContext = func(word string) bool { return slices.Contains(c.SourcePaths, word) }
		w.out.hidden = append(w.out.hidden, w.hiddenWords(c, vars)...)
	case *instructions.RunCommand:
		readsContext = func(word string) bool { return mountsFromContext(c, word) }
	}
	record := func(word string) (string, error) {
		w.word++
		if strings.Contains(word, "$") {
			w.out.words = append(w.out.words, fmt.Sprintf("%d.%d.%d %s", w.walked, w.at, w.word, word))
			if _, ok := w.value(word, vars); !ok && readsContext(word) {
				w.out.needsBase = true
			}
		}
		return word, nil
	}
	// Ports are expanded by the conversion, not by the instruction.
	if c, ok := cmd.(*instructions.ExposeCommand); ok {
		for _, port := range c.Ports {
			record(port) //nolint:errcheck // it returns nil
		}
	}
	// Errors (a mount type that is a variable) are the conversion's to report.
	if c, ok := cmd.(instructions.SupportsSingleWordExpansion); ok {
		c.Expand(record) //nolint:errcheck
	}
	if c, ok := cmd.(instructions.SupportsSingleWordExpansionRaw); ok {
		c.ExpandRaw(record) //nolint:errcheck
	}
}

// mountsFromContext tells whether a word is the source of a mount of the context.
func mountsFromContext(c *instructions.RunCommand, word string) bool {
	// Mounts have their fields only after an expansion, be it to themselves; one
	// whose type or mode is a variable cannot have them: take it for a reader.
	if err := c.Expand(func(word string) (string, error) { return word, nil }); err != nil {
		return true
	}
	return slices.ContainsFunc(instructions.GetMounts(c), func(m *instructions.Mount) bool {
		return m.From == "" && m.Source == word
	})
}

// define sets a build argument if its value is known.
func (w *walker) define(vars variables, arg instructions.KeyValuePairOptional) {
	if v, ok := w.args[arg.Key]; ok {
		vars[arg.Key] = v
		return
	}
	if arg.Value == nil {
		return // declared only: the base's variable of that name shows through
	}
	if v, ok := w.value(*arg.Value, vars); ok {
		vars[arg.Key] = v
	} else {
		delete(vars, arg.Key)
	}
}

// value expands word; ok is false when it depends on a variable that is not known.
func (w *walker) value(word string, vars variables) (string, bool) {
	res, err := w.lex.ProcessWordWithMatches(word, vars)
	if err != nil {
		return "", false
	}
	for name := range res.Unmatched {
		if _, ok := vars[name]; !ok {
			return "", false
		}
	}
	return res.Result, true
}
