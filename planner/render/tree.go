package render

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"text/template/parse"

	"slipway/planner/diag"
)

// source is a text that was parsed: what errors point into.
type source struct {
	file string // as people know it
	text string
}

// parsed is a source's templates: its own and those that it defines.
type parsed struct {
	name  string // of its own template: one that no define can have
	alias string // what include calls it, if anything
	trees map[string]*parse.Tree
	err   *diag.Diagnostic
}

// maxBlocks is how many blocks one text may have: text/template's parser
// recurses as deep as they nest, and a stack overflow cannot be caught.
const maxBlocks = 20_000

var blockStart = regexp.MustCompile(`\{\{(?:-\s)?\s*(?:else\s+)?(?:if|range|with|block)\b`)

// parse parses a text and adds the hooks. text/template names a text in its
// errors by the name it was parsed under, which is the index of the source.
func (r *run) parse(file, text string, main bool) *parsed {
	p := &parsed{name: fmt.Sprintf("\x00%d", len(r.sources))}
	r.sources = append(r.sources, source{file, text})
	if n := len(blockStart.FindAllStringIndex(text, maxBlocks+1)); n > maxBlocks {
		p.err = diag.NewSource(file, nil).Pos(0, 0).Errorf("more than %d blocks (if, range, with) in one template", maxBlocks)
		return p
	}
	var err error
	if p.trees, err = parse.Parse(p.name, text, "", "", r.functions, builtins); err != nil {
		p.err = r.parseError(err)
		return p
	}
	for name, tree := range p.trees {
		h := hooker{main: main && name == p.name}
		if h.main {
			h.lines = lineStarts(text)
		}
		h.list(tree.Root)
	}
	return p
}

// define makes a text's templates known, instead of those of the same names.
func (r *run) define(p *parsed) {
	for name, tree := range p.trees {
		// The only error is a name that belongs to another set of templates.
		_, _ = r.templates.AddParseTree(name, tree)
	}
	if tree := p.trees[p.name]; p.alias != "" && tree != nil {
		_, _ = r.templates.AddParseTree(p.alias, tree)
	}
}

// The names of the hooks. They are not among the functions that texts are
// parsed with, so no text can call them.
const (
	hookMark     = "_mark"
	hookPrint    = "_print"
	hookTick     = "_tick"
	hookTemplate = "_template"
)

// hooker adds calls of the hooks to a tree, as html/template adds escapers:
//
//	{{ PIPELINE }}           becomes {{ PIPELINE | _print LINE }}, which looks
//	                         at the value before it is formatted
//	{{ template "x" DATA }}  becomes {{ _template "x" DATA }}, which is include
//	{{ range X }}            is followed by {{ _tick }}, so that loops end
//	text                     of the file itself is preceded by {{ _mark LINE }}
type hooker struct {
	main  bool  // lines matter
	lines []int // offsets at which lines start
}

func (h hooker) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	nodes := make([]parse.Node, 0, len(l.Nodes))
	for _, node := range l.Nodes {
		switch n := node.(type) {
		case *parse.TextNode:
			if h.main {
				nodes = append(nodes, action(n.Pos, command(n.Pos, hookMark, h.line(n.Pos))))
			}
		case *parse.ActionNode:
			h.print(n)
		case *parse.TemplateNode:
			args := []parse.Node{&parse.StringNode{NodeType: parse.NodeString, Pos: n.Pos, Quoted: fmt.Sprintf("%q", n.Name), Text: n.Name}}
			if n.Pipe != nil {
				args = append(args, n.Pipe)
			}
			call := action(n.Pos, command(n.Pos, hookTemplate, args...))
			h.print(call)
			node = call
		case *parse.IfNode:
			h.list(n.List)
			h.list(n.ElseList)
		case *parse.WithNode:
			h.list(n.List)
			h.list(n.ElseList)
		case *parse.RangeNode:
			h.list(n.List)
			h.list(n.ElseList)
			tick := parse.Node(action(n.Pos, command(n.Pos, hookTick)))
			n.List.Nodes = append([]parse.Node{tick}, n.List.Nodes...)
		}
		nodes = append(nodes, node)
	}
	l.Nodes = nodes
}

// print hooks the end of a pipeline whose value is printed: one that declares
// or assigns a variable is not.
func (h hooker) print(n *parse.ActionNode) {
	if len(n.Pipe.Decl) == 0 {
		n.Pipe.Cmds = append(n.Pipe.Cmds, command(n.Pos, hookPrint, h.line(n.Pos)))
	}
}

// line is the 1-based line of a position, as a node; 0 where lines do not matter.
func (h hooker) line(pos parse.Pos) parse.Node {
	line := sort.SearchInts(h.lines, int(pos)+1)
	return &parse.NumberNode{NodeType: parse.NodeNumber, Pos: pos, IsInt: true, Int64: int64(line), Text: fmt.Sprint(line)}
}

func action(pos parse.Pos, c *parse.CommandNode) *parse.ActionNode {
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: pos,
		Pipe: &parse.PipeNode{NodeType: parse.NodePipe, Pos: pos, Cmds: []*parse.CommandNode{c}}}
}

func command(pos parse.Pos, name string, args ...parse.Node) *parse.CommandNode {
	return &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos,
		Args: append([]parse.Node{parse.NewIdentifier(name).SetPos(pos)}, args...)}
}

// hooks are the functions that hooker calls.
func (r *run) hooks() map[string]any {
	return map[string]any{
		hookMark: func(line int) string {
			if r.depth == 0 {
				r.out.mark(line, true)
			}
			return ""
		},
		hookPrint: func(line int, v any) (any, error) {
			if r.depth == 0 && line > 0 {
				r.out.mark(line, false)
			}
			return v, r.weigh("the value", v)
		},
		hookTick: func() (string, error) { return "", r.spend(callWork) },
		hookTemplate: func(name string, data ...any) (string, error) {
			if len(data) == 0 {
				data = []any{nil}
			}
			return r.call("template", name, data[0])
		},
	}
}

// lineStarts are the offsets at which a text's lines start.
func lineStarts(text string) []int {
	starts := []int{0}
	for i := 0; i < len(text); i++ {
		j := strings.IndexByte(text[i:], '\n')
		if j < 0 {
			break
		}
		i += j
		starts = append(starts, i+1)
	}
	return starts
}
