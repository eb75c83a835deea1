package render

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
)

// A template is a program, and a program can run for ever, fill the memory or
// overflow the stack. Time would make the limit depend on the machine, so work
// is counted, in bytes that are looked at or written; a call, or a turn of a
// loop, takes about as long as callWork of them. The limit is some seconds, and
// more than a hundred times what the largest known configurations need.
const (
	maxWork    = 1 << 29
	callWork   = 100
	maxValue   = 1 << 26 // bytes of one value, about
	maxList    = 1 << 20 // elements that until, untilStep and seq make
	maxNesting = 200     // of lists and maps in each other
	maxDepth   = 1000    // of include, template and tpl in each other
)

type budget struct {
	ctx  context.Context
	left int
}

// spend takes work from the budget.
func (b *budget) spend(n int) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	if b.left <= n {
		b.left = 0
		return errTooMuch
	}
	b.left -= n
	return nil
}

// counted counts what is written. It does not fail, as a failure to write has no
// place in the template: the next loop turn or call does.
type counted struct {
	*budget
	w io.Writer
}

func (c counted) Write(p []byte) (int, error) {
	c.left -= min(len(p), c.left)
	return c.w.Write(p)
}

var (
	errTooMuch = &mistake{
		message: "the template does not come to an end, or makes far too much",
		advice:  "look for loops over large ranges, loops in loops, and values that grow at every turn",
	}
	errTooLarge = fmt.Errorf("is larger than %d MiB", maxValue>>20)
	errNested   = fmt.Errorf("has lists or maps nested more than %d deep: does it contain itself?", maxNesting)
)

// weigh looks through a value before something formats or copies it: what
// contains itself would overflow the stack, and what shares its parts can be
// exponentially larger than it looks.
func (b *budget) weigh(what string, v any) error {
	left := maxValue
	if err := weigh(reflect.ValueOf(v), 0, &left); err != nil {
		return &mistake{message: what + " " + err.Error()}
	}
	return b.spend(maxValue - left)
}

func weigh(v reflect.Value, depth int, left *int) error {
	if *left -= 16; *left < 0 {
		return errTooLarge
	}
	if depth > maxNesting {
		return errNested
	}
	switch v.Kind() {
	case reflect.String:
		if *left -= v.Len(); *left < 0 {
			return errTooLarge
		}
	case reflect.Interface:
		return weigh(v.Elem(), depth, left)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := weigh(v.Index(i), depth+1, left); err != nil {
				return err
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if err := weigh(it.Key(), depth+1, left); err != nil {
				return err
			}
			if err := weigh(it.Value(), depth+1, left); err != nil {
				return err
			}
		}
	}
	return nil
}

var errorType = reflect.TypeFor[error]()

// guard wraps a function so that its work is counted before it is done, and its
// errors and panics say whose they are. The signature stays, but for the error.
func (r *run) guard(name string, fn any) any {
	f := reflect.ValueOf(fn)
	t := f.Type()
	in := make([]reflect.Type, t.NumIn())
	for i := range in {
		in[i] = t.In(i)
	}
	fail := func(err error) []reflect.Value {
		return []reflect.Value{reflect.Zero(t.Out(0)), reflect.ValueOf(&err).Elem()}
	}
	signature := reflect.FuncOf(in, []reflect.Type{t.Out(0), errorType}, t.IsVariadic())
	return reflect.MakeFunc(signature, func(args []reflect.Value) (results []reflect.Value) {
		if err := r.before(name, args); err != nil {
			return fail(err)
		}
		defer func() {
			if p := recover(); p != nil {
				results = fail(&mistake{message: fmt.Sprintf("%s cannot work on these arguments: %v", name,
					strings.TrimPrefix(fmt.Sprint(p), "runtime error: "))})
			}
		}()
		if t.IsVariadic() {
			results = f.CallSlice(args)
		} else {
			results = f.Call(args)
		}
		if len(results) == 2 && !results[1].IsNil() {
			return fail(named(name, results[1].Interface().(error)))
		}
		if err := r.spend(size(results[0])); err != nil {
			return fail(err)
		}
		return []reflect.Value{results[0], reflect.Zero(errorType)}
	}).Interface()
}

// before counts what a call is going to look at and to make.
func (r *run) before(name string, args []reflect.Value) error {
	if shallow[name] {
		work := callWork
		for _, arg := range args {
			work += 8 * size(arg) // sprig copies lists slowly
		}
		return r.spend(work)
	}
	left := maxValue
	for _, arg := range args {
		if err := weigh(arg, 0, &left); err != nil {
			return &mistake{message: "what " + name + " is given " + err.Error()}
		}
	}
	work := callWork + maxValue - left
	if makes := growing[name]; makes != nil {
		n, limit := makes(args, work), maxValue
		if lists[name] {
			limit = maxList
		}
		if n > float64(limit) {
			return &mistake{message: fmt.Sprintf("%s would make too much: more than %d elements or bytes", name, limit)}
		}
		work += int(n)
	}
	return r.spend(work)
}

// size is how many elements or bytes a value has, not counting theirs.
func size(v reflect.Value) int {
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Array, reflect.Map:
		return v.Len()
	}
	return 1
}

func set(names string) map[string]bool {
	m := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		m[name] = true
	}
	return m
}

// shallow are the functions that only look at the top of what they are given.
// The context of a template is a large value that is handed around all the
// time; to look through it at every call would be most of the work.
var shallow = set(`list tuple dict get set unset hasKey pluck keys values pick omit
	append push mustAppend mustPush prepend mustPrepend first mustFirst rest mustRest last mustLast
	initial mustInitial reverse mustReverse slice mustSlice concat chunk mustChunk compact mustCompact
	dig default empty coalesce ternary all any kindOf kindIs typeOf typeIs typeIsLike required`)

var lists = set("until untilStep seq")

// growing says, for the functions whose result can be much larger than what
// they are given, how large at most: elements for lists, else bytes. weight is
// that of all arguments.
var growing = map[string]func(args []reflect.Value, weight int) float64{
	"repeat":                     func(a []reflect.Value, _ int) float64 { return float64(a[0].Int()) * text(a[1]) },
	"indent":                     indented,
	"nindent":                    indented,
	"replace":                    func(a []reflect.Value, _ int) float64 { return (text(a[2]) + 1) * (text(a[1]) + 1) },
	"join":                       func(a []reflect.Value, w int) float64 { return float64(size(a[1])) * text(a[0]) },
	"wrapWith":                   func(a []reflect.Value, _ int) float64 { return text(a[2]) * (text(a[1]) + 1) },
	"regexReplaceAll":            replaced,
	"mustRegexReplaceAll":        replaced,
	"regexReplaceAllLiteral":     replaced,
	"mustRegexReplaceAllLiteral": replaced,
	"until":                      func(a []reflect.Value, _ int) float64 { return abs(a[0].Int()) },
	"untilStep": func(a []reflect.Value, _ int) float64 {
		return steps(a[0].Int(), a[1].Int(), a[2].Int())
	},
	"seq":            sequence,
	"printf":         formatted,
	"printf_debug":   formatted,
	"derivePassword": func([]reflect.Value, int) float64 { return 1 << 24 }, // slow by design
}

func text(v reflect.Value) float64 { return float64(v.Len()) }

func abs(n int64) float64 { return max(float64(n), -float64(n)) }

func indented(a []reflect.Value, _ int) float64 {
	return float64(a[0].Int()) * float64(1+strings.Count(a[1].String(), "\n"))
}

// A pattern can match before every character and at the end, and every two
// characters of the replacement can stand for the whole of what matched.
func replaced(a []reflect.Value, _ int) float64 {
	return (text(a[1]) + 1) * (text(a[2]) + 1)
}

// steps counts what a loop makes. Near the ends of the integers sprig's loops
// would overflow and never end.
func steps(start, stop, step int64) float64 {
	const far = 1 << 53
	if max(abs(start), abs(stop), abs(step)) > far {
		return far
	}
	return abs(stop-start) / max(abs(step), 1)
}

func sequence(a []reflect.Value, _ int) float64 {
	n := make([]int64, a[0].Len())
	for i := range n {
		n[i] = a[0].Index(i).Int()
	}
	switch len(n) {
	case 1:
		return steps(1, n[0], 1)
	case 2:
		return steps(n[0], n[1], 1)
	case 3:
		return steps(n[0], n[2], n[1])
	}
	return 0
}

var wide = regexp.MustCompile(`\*|\d{4}`)

// formatted: each verb can print any argument, and be as wide as fmt lets it.
func formatted(a []reflect.Value, weight int) float64 {
	each := float64(weight) + 1000
	if wide.MatchString(a[0].String()) {
		each += 1e6
	}
	return float64(strings.Count(a[0].String(), "%")) * each
}
