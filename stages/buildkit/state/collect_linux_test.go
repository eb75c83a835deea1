package state

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/disk"
)

// fakeCache holds size bytes, and frees down to what a rule keeps.
type fakeCache struct {
	size   int64
	rules  []client.PruneInfo
	pruned bool
}

func (c *fakeCache) DiskUsage(context.Context, client.DiskUsageInfo) ([]*client.UsageInfo, error) {
	return []*client.UsageInfo{{Size: c.size - c.size/2}, {Size: c.size / 2}}, nil
}

func (c *fakeCache) Prune(_ context.Context, _ chan client.UsageInfo, rules ...client.PruneInfo) error {
	c.rules, c.pruned = append(c.rules, rules...), c.pruned || len(rules) == 0
	for _, r := range rules {
		if r.KeepDuration == 0 {
			c.size = min(c.size, r.MaxUsedSpace)
		}
	}
	return nil
}

// idle makes a slot that nobody uses.
func idle(t *testing.T, dir string, number int, size int64, age time.Duration) {
	t.Helper()
	path := filepath.Join(dir, strconv.Itoa(number))
	write(t, filepath.Join(path, sizeName), strconv.FormatInt(size, 10))
	write(t, filepath.Join(path, lockName), "")
	used := time.Now().Add(-age)
	must(t, os.Chtimes(filepath.Join(path, lockName), used, used))
}

func slotsLeft(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

const day = 24 * time.Hour

// Others go first, the one used longest ago first of all, and then the own one
// becomes smaller: the one that is used has the best chance to be of use again.
func TestCollect(t *testing.T) {
	for name, test := range map[string]struct {
		keep  Keep
		own   int64 // size of slot 0, which is used
		left  string
		now   int64
		total Collected
	}{
		"within bounds":       {Keep{Limit: Limit{Bytes: 300}}, 100, "0 1 2 3", 100, Collected{300, 300, 300, 1}},
		"one too many":        {Keep{Limit: Limit{Bytes: 299}}, 100, "0 1 3", 100, Collected{300, 200, 299, 1}},
		"two too many":        {Keep{Limit: Limit{Bytes: 199}}, 100, "0 3", 100, Collected{300, 100, 199, 1}},
		"the own is too much": {Keep{Limit: Limit{Bytes: 500}}, 1000, "0 3", 450, Collected{1200, 450, 500, 1}},
		"by age":              {Keep{Limit: Limit{Bytes: 500}, OlderThan: 3 * day}, 100, "0 1 3", 100, Collected{300, 200, 500, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			own := take(t, dir)
			idle(t, dir, 1, 100, 2*day)
			idle(t, dir, 2, 100, 4*day)
			idle(t, dir, 3, 0, 5*day)
			file, err := slot{path: filepath.Join(dir, "3")}.lock() // of another run
			must(t, err)
			defer file.Close()
			cache := &fakeCache{size: test.own}
			got, err := own.Collect(t.Context(), cache, test.keep)
			must(t, err)
			if got != test.total || cache.size != test.now {
				t.Errorf("got %+v, want %+v; the own has %d, want %d", got, test.total, cache.size, test.now)
			}
			if left := slotsLeft(t, dir); left != test.left {
				t.Errorf("left are %s, want %s", left, test.left)
			}
			if test.keep.OlderThan > 0 && (len(cache.rules) != 1 || cache.rules[0].KeepDuration != test.keep.OlderThan) {
				t.Errorf("the cache was given %+v", cache.rules)
			}
			must(t, own.Release())
			if size := (slot{path: own.Dir()}).size(t.Context()); size != test.now {
				t.Errorf("its size is written down as %d", size)
			}
		})
	}
}

// Slots that one busy day has needed go when they were not needed for long, what
// is broken goes first, and what was being removed goes always.
func TestCollectWhatIsNotNeeded(t *testing.T) {
	dir := t.TempDir()
	own := take(t, dir)
	idle(t, dir, 1, 10, 13*day)
	idle(t, dir, 2, 10, 15*day)
	idle(t, dir, 3, 10, day)
	must(t, os.Rename(filepath.Join(dir, "3"), filepath.Join(dir, "3.broken-abc")))
	write(t, filepath.Join(dir, "4.removed-abc", "file"), "")
	write(t, filepath.Join(dir, "letter"), "")
	_, err := own.Collect(t.Context(), &fakeCache{size: 10}, Keep{Limit: Limit{Bytes: 30}})
	must(t, err)
	if left := slotsLeft(t, dir); left != "0 1 letter" {
		t.Errorf("left are %s", left)
	}
}

// BuildKit looks for what nobody refers to, which no limit knows of.
func TestCollectUnknown(t *testing.T) {
	cache := &fakeCache{size: 10}
	_, err := take(t, t.TempDir()).Collect(t.Context(), cache, Keep{Limit: Limit{Bytes: 100}})
	if must(t, err); !cache.pruned {
		t.Error("not pruned")
	}
}

func TestCollectAll(t *testing.T) {
	dir := t.TempDir()
	got, err := Collect(t.Context(), filepath.Join(dir, "nothing"), Keep{None: true})
	if err != nil || got != (Collected{}) {
		t.Errorf("of nothing: %+v, %v", got, err)
	}
	take(t, dir)
	idle(t, dir, 1, 10, day)
	idle(t, dir, 2, 10, 0)
	got, err = Collect(t.Context(), dir, Keep{None: true})
	must(t, err)
	if left := slotsLeft(t, dir); left != "0" || got.InUse != 1 {
		t.Errorf("left are %s; %+v", left, got)
	}
}

// A collection that is cut off says nothing wrong and fails nothing, and begins no
// removal.
func TestCollectInNoTime(t *testing.T) {
	dir := t.TempDir()
	own := take(t, dir)
	idle(t, dir, 1, 10, day)
	write(t, filepath.Join(dir, "2.removed-abc", "runc-overlayfs", "snapshots", "snapshots", "1", "file"), "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := own.Collect(ctx, &interrupted{}, Keep{Limit: Limit{Bytes: 1}})
	if err != nil || got.After != 20 || slotsLeft(t, dir) != "0 1 2.removed-abc" {
		t.Errorf("got %+v, %v; left are %s", got, err, slotsLeft(t, dir))
	}
}

type interrupted struct{}

func (*interrupted) DiskUsage(context.Context, client.DiskUsageInfo) ([]*client.UsageInfo, error) {
	return []*client.UsageInfo{{Size: 10}}, nil
}

func (*interrupted) Prune(context.Context, chan client.UsageInfo, ...client.PruneInfo) error {
	return errors.New("cut off")
}

func TestParseLimit(t *testing.T) {
	stat := disk.DiskStat{Total: 1000e9, Free: 500e9, Available: 500e9}
	for text, want := range map[string]int64{
		"20GB": 20e9, "20 gb": 20e9, "1.5GiB": 3 << 29, "512": 512, "3k": 3000, "2TiB": 2 << 40, "25%": 250e9, "0.5%": 5e9,
		"": 0, "GB": 0, "-1GB": 0, "0": 0, "0%": 0, "101%": 0, "20GBs": 0, "1e3": 1000, "9999999999TB": 0, "NaN": 0, "Inf": 0, "1,5GB": 0,
	} {
		limit, err := ParseLimit(text)
		if (err == nil) != (want != 0) || err == nil && limit.of(stat, 0) != want {
			t.Errorf("%q is %+v, %v; want %d bytes", text, limit, err, want)
		}
		if err != nil {
			continue
		}
		if again, err := ParseLimit(limit.String()); err != nil || again != limit {
			t.Errorf("%q is written as %q", text, limit)
		}
	}
}

// Without a limit it is BuildKit's.
func TestDefaultLimit(t *testing.T) {
	const gb = 1e9
	for name, test := range map[string]struct{ total, free, used, want int64 }{
		"a large disk":        {1000 * gb, 900 * gb, 0, 100 * gb},
		"a small disk":        {50 * gb, 45 * gb, 0, 35 * gb}, // 10 stay free
		"a full disk":         {1000 * gb, 100 * gb, 150 * gb, 64 * gb},
		"full of other files": {1000 * gb, 0, 5 * gb, 10 * gb},
	} {
		got := Limit{}.of(disk.DiskStat{Total: test.total, Free: test.free, Available: test.free}, test.used)
		if diff := got - test.want; diff < -16*gb || diff > 16*gb { // BuildKit rounds to GB, of two kinds
			t.Errorf("%s: %d, want about %d", name, got, test.want)
		}
	}
	for limit, want := range map[Limit]int64{{Bytes: 5 * gb}: 5 * gb} {
		rules := limit.Policy(t.TempDir())
		if last := rules[len(rules)-1]; last.MaxUsedSpace != want || !last.All {
			t.Errorf("BuildKit is given %+v", rules)
		}
	}
	if rules := (Limit{}).Policy(t.TempDir()); rules[len(rules)-1].MinFreeSpace == 0 {
		t.Errorf("BuildKit is given %+v", rules)
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	items, err := Usage(t.Context(), filepath.Join(dir, "nothing"))
	if err != nil || items == nil || len(items) != 0 {
		t.Errorf("of nothing: %v, %v", items, err)
	}
	s := take(t, filepath.Join(dir, Slots))
	idle(t, filepath.Join(dir, Slots), 1, 10, day)
	idle(t, filepath.Join(dir, Slots), 2, 10, day)
	must(t, os.Rename(filepath.Join(dir, Slots, "2"), filepath.Join(dir, Slots, "2.broken-x")))
	write(t, filepath.Join(s.Dir(), "file"), strings.Repeat("x", 1<<20))
	must(t, os.Link(filepath.Join(s.Dir(), "file"), filepath.Join(s.Dir(), "again")))
	write(t, filepath.Join(dir, Images, "app", "index.json"), "{}")
	write(t, filepath.Join(dir, "charts", "chart"), "chart")
	items, err = Usage(t.Context(), dir)
	must(t, err)
	var got []string
	for _, i := range items {
		line := i.Kind + " " + filepath.Base(i.Path)
		if i.PID != 0 {
			line += " used by " + strconv.Itoa(i.PID)
		}
		if i.Size < 4096 || i.Used.IsZero() || i.Incomplete {
			t.Errorf("%+v", i)
		}
		got = append(got, line)
	}
	want := "builds 0 used by " + strconv.Itoa(os.Getpid()) + ", builds 1, broken 2.broken-x, charts charts, images app"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if size := items[0].Size; size < 1<<20 || size > 3<<19 {
		t.Errorf("a file with two names of 1 MiB makes %d", size)
	}
}
