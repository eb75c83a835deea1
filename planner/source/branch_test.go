package source

import "testing"

func TestBranches(t *testing.T) {
	for name, test := range map[string]struct {
		git           [][]string
		current, main string
	}{
		"main":            {nil, "main", "main"},
		"a branch":        {[][]string{{"checkout", "-q", "-b", "feature/one"}}, "feature/one", "main"},
		"detached":        {[][]string{{"checkout", "-q", "--detach"}}, "", "main"},
		"master":          {[][]string{{"branch", "-m", "master"}}, "master", "master"},
		"neither":         {[][]string{{"branch", "-m", "trunk"}}, "trunk", ""},
		"nothing":         {[][]string{{"checkout", "-q", "--detach"}, {"branch", "-D", "main"}}, "", ""},
		"what origin has": {[][]string{{"update-ref", "refs/remotes/origin/master", "HEAD"}, {"branch", "-m", "x"}}, "x", "master"},
		"origin says": {[][]string{{"update-ref", "refs/remotes/origin/develop/it", "HEAD"},
			{"symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/develop/it"}}, "main", "develop/it"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newRepo(t, files{"a": "a"})
			for _, args := range test.git {
				runGit(t, dir, args...)
			}
			s, err := Open(t.Context(), Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			before := s.Stats().Processes
			current, main, err := s.Branches(t.Context())
			if err != nil || current != test.current || main != test.main {
				t.Errorf("current %q, main %q, want %q and %q: %v", current, main, test.current, test.main, err)
			}
			if n := s.Stats().Processes - before; n != 1 {
				t.Errorf("%d processes", n)
			}
		})
	}
}
