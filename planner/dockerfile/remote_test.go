package dockerfile

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"slipway/planner/diag"
	"slipway/planner/lock"

	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

const commitA, commitB = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

func remoteInput(t *testing.T, instructions string, remotes map[string]lock.Remote) Input {
	in := project{files: map[string]string{"Dockerfile": "FROM scratch\n" + instructions + "\n", "file": "x"}}.input(t)
	if remotes != nil {
		in.Lock = &lock.File{Remotes: remotes}
	}
	return in
}

// What floats, under which name, and what the lock file's entry does to the key
// and to what is built.
func TestRemotes(t *testing.T) {
	for _, c := range []struct{ add, name, url, ref, checksum, byCommit string }{
		{add: "ADD https://example.org/a?v=1 /a", name: "https://example.org/a?v=1", url: "https://example.org/a?v=1"},
		{add: "ADD --chmod=755 --link http://example.org:8080/a /a", name: "http://example.org:8080/a", url: "http://example.org:8080/a"},
		{add: "ARG V=2\nADD https://example.org/a-$V file /a/", name: "https://example.org/a-2", url: "https://example.org/a-2"},
		{add: "ADD https://u:p@example.org/a?token=t&x=1 /a", name: "https://example.org/a?token=xxxxx&x=1", url: "https://u:p@example.org/a?token=t&x=1"},
		{add: "ADD https://example.org/a.git /a", name: "https://example.org/a.git", url: "https://example.org/a.git", byCommit: "true"},
		{add: "ADD https://example.org/a.git#v1:sub/dir /a", name: "https://example.org/a.git#v1", url: "https://example.org/a.git", ref: "v1", byCommit: "true"},
		{add: "ADD https://example.org/a.git?tag=v1&subdir=x /a", name: "https://example.org/a.git#refs/tags/v1", url: "https://example.org/a.git", ref: "refs/tags/v1", byCommit: "true"},
		{add: "ADD https://example.org/a.git?branch=main&submodules=false /a", name: "https://example.org/a.git#refs/heads/main", url: "https://example.org/a.git", ref: "refs/heads/main", byCommit: "true"},
		{add: "ADD --keep-git-dir https://example.org/a.git#v1 /a", name: "https://example.org/a.git#v1", url: "https://example.org/a.git", ref: "v1"},
		{add: "ADD https://example.org/a.git?keep-git-dir=true#v1 /a", name: "https://example.org/a.git#v1", url: "https://example.org/a.git", ref: "v1"},
		{add: "ADD https://u:p@example.org/a.git#v1 /a", name: "https://example.org/a.git#v1", url: "https://u:p@example.org/a.git", ref: "v1", byCommit: "true"},
		{add: "ADD git://example.org/a#v1 /a", name: "git://example.org/a#v1", url: "git://example.org/a", ref: "v1", byCommit: "true"},
		{add: "ARG R=v1\nADD git@host.invalid:org/a.git#$R /a", name: "git@host.invalid:org/a.git#v1", url: "git@host.invalid:org/a.git", ref: "v1", byCommit: "true"},
		{add: `ADD ["ssh://git:pw@host.invalid:22/org/a?ref=v1", "/a"]`, name: "ssh://git@host.invalid:22/org/a#v1", url: "ssh://git:pw@host.invalid:22/org/a", ref: "v1", byCommit: "true"},
	} {
		t.Run(c.add, func(t *testing.T) {
			entries := []lock.Remote{{Digest: digest.FromString("a")}, {Digest: digest.FromString("b")}}
			attr := pb.AttrHTTPChecksum
			git := strings.Contains(c.add, ".git") || strings.Contains(c.add, "git:")
			if git {
				entries, attr = []lock.Remote{{Commit: commitA}, {Commit: commitB}}, pb.AttrGitChecksum
			}
			floats := plan(t, remoteInput(t, c.add, nil))
			want := Remote{Name: c.name, URL: c.url, Git: git, Ref: c.ref, Dockerfile: "Dockerfile", Line: 1 + strings.Count(c.add, "\n") + 1}
			if len(floats.Remotes) != 1 || floats.Remotes[0] != want {
				t.Fatalf("got %+v, want %+v", floats.Remotes, want)
			}
			word := strings.Trim(strings.Fields(strings.ReplaceAll(c.add[strings.Index(c.add, "ADD"):], "--keep-git-dir ", ""))[1], `[",`)
			if !strings.ContainsAny(c.add, "$") && !strings.HasPrefix(word, "--") && RemoteName(word) != c.name {
				t.Errorf("%s is named %s", word, RemoteName(word))
			}
			pinned := func(e lock.Remote) *Recipe {
				return plan(t, remoteInput(t, c.add, map[string]lock.Remote{c.name: e, "https://example.org/other": {Digest: digest.FromString("o")}}))
			}
			a, b := pinned(entries[0]), pinned(entries[1])
			if again := plan(t, remoteInput(t, c.add, map[string]lock.Remote{c.name: entries[0]})); a.Key != again.Key {
				t.Error("another entry of the lock file changes the key")
			}
			if a.Key == b.Key || a.Key == floats.Key || len(a.Remotes) != 1 || a.Remotes[0].Pin != entries[0].ID() {
				t.Errorf("keys %s, %s and %s; remotes %v", floats.Key, a.Key, b.Key, a.Remotes)
			}
			if strings.Contains(c.url, "invalid") {
				return // the conversion for the build asks the host for its key
			}
			s, err := a.Solvable(t.Context(), World{Bases: fakeBases{}, Builder: linux})
			if err != nil {
				t.Fatal(err)
			}
			srcs, err := sources(s.Definition)
			if err != nil {
				t.Fatal(err)
			}
			for _, src := range srcs {
				if !strings.HasPrefix(src.Identifier, localScheme) && (src.Attrs[attr] != entries[0].ID() || src.Attrs[pb.AttrGitFetchByCommit] != c.byCommit) {
					t.Errorf("%s is built with %v", src.Identifier, src.Attrs)
				}
			}
		})
	}
}

func plan(t *testing.T, in Input) *Recipe {
	t.Helper()
	r, err := Plan(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What the Dockerfile pins by itself needs no entry, and one changes nothing.
func TestPinnedRemotes(t *testing.T) {
	sum := digest.FromString("a").String()
	for _, add := range []string{
		"ADD --checksum=" + sum + " https://example.org/a /a",
		"ADD https://example.org/a.git#" + commitA + ":sub /a",
		"ADD --checksum=" + commitA[:12] + " https://example.org/a.git#v1 /a",
		"ADD https://example.org/a.git?ref=v1&checksum=" + commitA + " /a",
		"COPY file /a", "ADD file /a",
	} {
		t.Run(add, func(t *testing.T) {
			floats := plan(t, remoteInput(t, add, nil))
			locked := plan(t, remoteInput(t, add, map[string]lock.Remote{
				"https://example.org/a": {Digest: digest.FromString("b")}, "https://example.org/a.git#v1": {Commit: commitB},
			}))
			if len(floats.Remotes) > 0 || floats.Key != locked.Key {
				t.Errorf("floating are %v, keys %s and %s", floats.Remotes, floats.Key, locked.Key)
			}
		})
	}
}

func TestRemotesMissingInTheLock(t *testing.T) {
	in := remoteInput(t, "ADD https://u:secret@example.org/a /a\nRUN true\nADD https://example.org/b.git#v1 /b", map[string]lock.Remote{
		"https://example.org/b.git#v1": {Digest: digest.FromString("of the wrong kind")},
	})
	_, err := Plan(t.Context(), in)
	if err == nil || !diag.Is(err) || strings.Contains(err.Error(), "secret") {
		t.Fatalf("got %v, want a diagnostic without the password", err)
	}
	for _, want := range []string{
		"Dockerfile:2: https://example.org/a is not in werf.lock: run slipway lock and commit the file\n  2 | ADD https://example.org/a /a",
		"Dockerfile:4: https://example.org/b.git#v1 is not in werf.lock: run slipway lock",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	in.Text = []byte("FROM scratch\nADD --nothing https://u:secret@example.org/a /a\n")
	if _, err := Plan(t.Context(), in); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want an error without the password", err)
	}
}

// The conversion asks the host of a repository over ssh for its key: not while
// planning. Two URLs stay two, and the build gets the one that was written.
func TestPlanningAsksNoSSHHost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			c.Close()
		}
	}()
	url := "ssh://git@" + l.Addr().String() + "/a.git"
	keys := map[string]string{}
	for _, add := range []string{
		"ADD " + url + " /a", "ADD git" + strings.TrimPrefix(url, "ssh") + " /a", "ADD " + url + "#v1 /a", "ADD --link \\\n  " + url + "#v2:sub file \\\n /a/",
		"ARG U=" + url + "\nADD $U#v3 /a", "add [\"" + url + "#v4\", \"" + url + "#v5\", \"/a\"]",
		"FROM scratch AS x\nADD " + url + "#v6 /a\nFROM scratch\nCOPY --from=x /a /a",
		"FROM scratch AS unused\nADD " + url + " /a\nFROM scratch\nCOPY file /a",
	} {
		r := plan(t, remoteInput(t, add, nil))
		if other, ok := keys[r.Key.String()]; ok {
			t.Errorf("%q and %q have one key", add, other)
		}
		keys[r.Key.String()] = add
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("planning asked the host %d times", n)
	}
	s, err := plan(t, remoteInput(t, "ADD "+url+" /a", nil)).Solvable(t.Context(), World{Bases: fakeBases{}, Builder: linux})
	if err != nil {
		t.Fatal(err)
	}
	srcs, err := sources(s.Definition)
	if err != nil || len(srcs) != 1 || srcs[0].Attrs[pb.AttrFullRemoteURL] != url {
		t.Errorf("what is built is %v (%v)", srcs, err)
	}
	if asked.Load() == 0 {
		t.Error("the listener does not notice being asked")
	}
	l.Close()
	<-done
}
