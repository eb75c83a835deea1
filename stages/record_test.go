package stages

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/engine"
	"slipway/oci"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// planOf is n keys in their order, and what each of them names.
func planOf(n int) (keys []engine.Key, descs []ocispec.Descriptor) {
	for i := range n {
		keys = append(keys, key(fmt.Sprint(i)))
		descs = append(descs, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(fmt.Sprint(i)), Size: int64(1000 + i)})
	}
	return sorted(keys...), descs
}

// Runs of other versions and machines have to find the record.
func TestRecordTag(t *testing.T) {
	keys, _ := planOf(2)
	var trace strings.Builder
	const want = "plan-df8dbabc335d37f66a42201abd21f0ccafacef10239406e6dd2ab4091fd71277"
	tag := recordTag(keys, &trace)
	if tag != want || !IsRecordTag(tag) {
		t.Errorf("the tag is %s, want %s", tag, want)
	}
	if want := fmt.Sprintf("slipway plan key 1\n1\nimage 64\n%s\nimage 64\n%s\n= %s\n", keys[0], keys[1], strings.TrimPrefix(tag, "plan-")); trace.String() != want {
		t.Errorf("the trace is\n%s\nwant\n%s", trace.String(), want)
	}
	for _, tag := range []string{"plan-1", keys[0].String(), "plan-" + strings.ToUpper(keys[0].String()), "cache-a-b-0123", want + "0"} {
		if IsRecordTag(tag) {
			t.Errorf("%s is taken for the tag of a record", tag)
		}
	}
}

func TestRecordForm(t *testing.T) {
	keys, descs := planOf(5000)
	raw, err := writeRecord(keys, descs)
	check(t, err)
	got, err := readRecord(raw, keys)
	check(t, err)
	for i := range descs {
		if got[i].Digest != descs[i].Digest || got[i].Size != descs[i].Size || got[i].MediaType != descs[i].MediaType {
			t.Fatalf("entry %d is %+v, want %+v", i, got[i], descs[i])
		}
	}
	if each := len(raw) / len(keys); each > 300 || len(raw) > oci.MaxManifestSize {
		t.Errorf("the record of %d images has %d bytes, %d for each", len(keys), len(raw), each)
	}
	keys, descs = planOf(2)
	right, err := writeRecord(keys, descs)
	check(t, err)
	change := func(old, now string) string { return strings.Replace(string(right), old, now, 1) }
	withdrawn, err := writeRecord(nil, nil)
	check(t, err)
	for name, test := range map[string]struct{ record, want string }{
		"nothing":         {"", "end of JSON"},
		"another thing":   {`{"schemaVersion":2,"manifests":[]}`, "its type"},
		"another version": {change("plan.v1", "plan.v2"), "its type"},
		"withdrawn":       {string(withdrawn), "withdrawn"},
		"another field":   {change(`"schemaVersion":2`, `"schemaVersion":2,"x":1`), "not written"},
		"white space":     {change(":", ": "), "not written"},
		"another key":     {change(keys[0].String(), keys[1].String()), "not written"},
		"no size":         {change(`"size":1000`, `"size":0`), "entry 1"},
		"no digest":       {change("sha256:", "sha256:0"), "entry 1"},
		"no image":        {change("image.manifest", "image.config"), "entry 1"},
		"fewer images":    {change(string(right[strings.Index(string(right), `,{"mediaType"`):]), "]}"), "it has 1 images"},
	} {
		if _, err := readRecord([]byte(test.record), keys); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// noted is a sink of notes.
type noted []string

func (n *noted) Event(e engine.Event) {
	if e.Kind == engine.EventNote {
		*n = append(*n, e.Text)
	}
}

// trustingRun builds images with a record, and names each by an alias.
func trustingRun(ctx context.Context, t *testing.T, repo oci.Repository, solver Solver, names [2]string) (notes noted, err error) {
	t.Helper()
	byKey := map[engine.Key]*engine.Node{}
	record := NewRecord(repo, sorted(key(names[0]), key(names[1])), nil)
	last := &engine.Node{ID: "record", Kind: "record", Stage: record}
	var goals []*engine.Node
	for _, name := range names {
		build := &engine.Node{ID: name, Kind: "build", Key: key(name), Stage: record.Trusting(NewBuild(repo, key(name), recipe(name), solver, nil))}
		deliver := &engine.Node{ID: "deliver " + name, Kind: "deliver", Needs: []*engine.Node{build}, Stage: &Deliver{Source: repo, Target: repo, Alias: name}}
		goals, byKey[build.Key] = append(goals, deliver), build
	}
	for _, key := range record.keys {
		last.Needs = append(last.Needs, byKey[key])
	}
	last.Needs = append(last.Needs, goals...)
	_, err = engine.Run(ctx, append(goals, last), engine.Options{Sinks: []engine.Sink{&notes}})
	return notes, err
}

func TestRecord(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		repo, solver := w.repo(t, "app"), &fakeSolver{session: w.session}
		run := func(built []string, wantNote string) {
			t.Helper()
			notes, err := trustingRun(t.Context(), t, repo, solver, [2]string{"a", "b"})
			check(t, err)
			if got := solver.take(); len(got) != len(built) {
				t.Errorf("built %v, want %v", got, built)
			}
			if wantNote == "" && len(notes) > 0 || wantNote != "" && (len(notes) != 1 || !strings.Contains(notes[0], wantNote)) {
				t.Errorf("notes %q, want %q", notes, wantNote)
			}
		}
		run([]string{"a", "b"}, "")
		for _, name := range []string{"a", "b"} { // so that nothing has to be confirmed
			check(t, repo.Tag(t.Context(), mustFind(t, repo, key(name).String()), name))
		}
		done := w.unwritten(t)
		run(nil, "trusting the plan record "+repo.Reference().Name()+":plan-")
		done()

		// What is there and is no record is replaced.
		tag := NewRecord(repo, sorted(key("a"), key("b")), nil).tag
		right := names(t, repo, tag)
		check(t, repo.Tag(t.Context(), mustFind(t, repo, key("a").String()), tag))
		run(nil, "ignoring the plan record")
		if now := names(t, repo, tag); now != right {
			t.Errorf("the record is %s, want %s", now, right)
		}
		if n := len(tagsOf(t, repo)); n != 2+2+1 {
			t.Errorf("%d tags: %v", n, tagsOf(t, repo))
		}
	})
}

// Who is not sure asks, before anything depends on the answer; a record that says
// what is not so says nothing any more.
func TestRecordOfWhatIsGone(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		repo, solver := w.repo(t, "app"), &fakeSolver{session: w.session}
		keyedImage(t, repo, "a")
		gone := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("gone"), Size: 7}
		record := NewRecord(repo, sorted(key("a"), key("b")), nil)
		descs := map[engine.Key]ocispec.Descriptor{key("a"): mustFind(t, repo, key("a").String()), key("b"): gone}
		claims := []claim{{record, key("a"), descs[key("a")]}, {record, key("b"), gone}}
		err := Image{unasked: claims}.Confirm(t.Context())
		if err == nil || !strings.Contains(err.Error(), gone.Digest.String()+" is gone, and the plan record "+record.String()) {
			t.Errorf("%v", err)
		}
		check(t, Image{unasked: claims[:1]}.Confirm(t.Context()))
		notes, err := trustingRun(t.Context(), t, repo, solver, [2]string{"a", "b"})
		check(t, err)
		if built := solver.take(); !slices.Equal(built, []string{"b"}) || len(notes) != 1 || !strings.Contains(notes[0], "withdrawn") {
			t.Errorf("built %v, notes %q", built, notes)
		}
	})
}

// A run that fails or is cancelled writes no record, nor does one of too many
// images.
func TestNoRecord(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		repo := w.repo(t, "app")
		keyedImage(t, repo, "other") // so that there is a repository to list
		ctx, cancel := context.WithCancel(t.Context())
		for _, end := range []func() error{
			func() error { return errBroken },
			func() error { cancel(); return nil },
		} {
			solver := &fakeSolver{session: w.session, hook: func(_ context.Context, b Build) error {
				if b.Name == "b" {
					return end()
				}
				return nil
			}}
			if _, err := trustingRun(ctx, t, repo, solver, [2]string{"a", "b"}); err == nil {
				t.Error("the run did not fail")
			}
		}
		keys, descs := planOf(17_000)
		var needs []engine.Result
		for _, desc := range descs {
			needs = append(needs, Image{Desc: desc})
		}
		done := w.unwritten(t)
		var notes noted
		_, err := engine.Run(t.Context(), []*engine.Node{{ID: "record", Stage: givenNeeds{NewRecord(repo, keys, nil), needs}}}, engine.Options{Sinks: []engine.Sink{&notes}})
		check(t, err)
		done()
		if len(notes) != 1 || !strings.Contains(notes[0], "no plan record is written: that of 17000 images") {
			t.Errorf("notes %q", notes)
		}
		for _, tag := range tagsOf(t, repo) {
			if IsRecordTag(tag) {
				t.Errorf("there is the record %s", tag)
			}
		}
	})
}

// givenNeeds is a stage that is run with needs that nobody has made.
type givenNeeds struct {
	engine.Stage
	needs []engine.Result
}

func (s givenNeeds) Run(ctx context.Context, _ []engine.Result) (engine.Result, error) {
	return s.Stage.Run(ctx, s.needs)
}

func sorted(keys ...engine.Key) []engine.Key {
	slices.SortFunc(keys, func(a, b engine.Key) int { return bytes.Compare(a[:], b[:]) })
	return keys
}

func mustFind(t *testing.T, repo oci.Repository, tag string) ocispec.Descriptor {
	t.Helper()
	desc, err := repo.Resolve(t.Context(), tag)
	check(t, err)
	return desc
}

func tagsOf(t *testing.T, repo oci.Repository) (tags []string) {
	t.Helper()
	check(t, oci.Tags(t.Context(), repo, func(some []string) error {
		tags = append(tags, some...)
		return nil
	}))
	return tags
}
