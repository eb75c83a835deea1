package progress

import (
	"strings"
	"testing"
	"time"
)

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "added 12 packages", "added 12 packages"},
		{"UTF-8 and tabs", "größe\t日本 👍🏽", "größe\t日本 👍🏽"},
		{"colours", "\x1b[1;31mred\x1b[0m text", "red text"},
		{"cursor movement", "a\x1b[2K\x1b[10Ab\x1b[Hc", "abc"},
		{"private modes", "\x1b[?25lhidden\x1b[?1049h", "hidden"},
		{"window title", "\x1b]0;title\atext", "text"},
		{"link, ended by ST", "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"reset", "\x1bctext", "text"},
		{"character set", "\x1b(Btext", "text"},
		{"before another escape", "\x1b\x1b[31mtext", "text"},
		{"before a wide character", "\x1b日", "日"},
		{"cut short", "text\x1b[3", "text"},
		{"cut shorter", "text\x1b", "text"},
		{"title without an end", "text\x1b]0;title", "text"},
		{"control characters", "a\x00b\ac\bd\x7fe\vf", "abcdef"},
		{"eight-bit controls", "a\u009b31mb\u0085c", "a31mbc"},
		{"direction", "a\u202eb\u2066c\u200fd", "abcd"},
		{"line separators", "a\u2028b\u2029c", "abc"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"carriage returns", "10%\r50%\r100%", "100%"},
		{"line ends of Windows", "text\r", "text"},
		{"empty", "", ""},
	}
	for _, test := range tests {
		if got := clean(test.in); got != test.want {
			t.Errorf("%s: clean(%q) = %q, want %q", test.name, test.in, got, test.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m\r\n\x1b]0;t\a\xff\u009b")
	f.Fuzz(func(t *testing.T, in string) {
		got := clean(in)
		if strings.ContainsAny(got, "\x1b\r\n\a\b\x00\x7f\u009b") {
			t.Errorf("clean(%q) = %q", in, got)
		}
		if clean(got) != got {
			t.Errorf("clean of %q is not clean: %q", in, clean(got))
		}
	})
}

func TestFit(t *testing.T) {
	tests := []struct {
		in   string
		cols int
		want string
	}{
		{"short", 10, "short"},
		{"exact", 5, "exact"},
		{"longer", 5, "long…"},
		{"größer", 6, "größer"},
		{"größer", 4, "grö…"},
		{"日本語", 6, "日本語"},
		{"日本語", 5, "日本…"},
		{"日本語", 4, "日…"},
		{"e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"},
		{"e\u0301e\u0301e\u0301", 2, "e\u0301…"},
		{"a\tb", 3, "a b"},
		{"ab", 1, "…"},
		{"ab", 0, ""},
		{"", 0, ""},
	}
	for _, test := range tests {
		if got := fit(test.in, test.cols); got != test.want {
			t.Errorf("fit(%q, %d) = %q, want %q", test.in, test.cols, got, test.want)
		}
	}
}

func TestDuration(t *testing.T) {
	tests := map[time.Duration]string{
		-time.Second:                       "0.0s",
		0:                                  "0.0s",
		3240 * time.Millisecond:            "3.2s",
		59949 * time.Millisecond:           "59.9s",
		59951 * time.Millisecond:           "1m00s",
		4*time.Minute + 5*time.Second:      "4m05s",
		time.Hour - 400*time.Millisecond:   "1h00m",
		26*time.Hour + 2*time.Minute + 1e9: "26h02m",
	}
	for in, want := range tests {
		if got := duration(in); got != want {
			t.Errorf("duration(%v) = %s, want %s", in, got, want)
		}
	}
}

func TestTransfer(t *testing.T) {
	tests := []struct {
		current, total int64
		want           string
	}{
		{0, 0, "0 B"},
		{512, 0, "512 B"},
		{100, 1023, "100/1023 B"},
		{1536, 0, "1.5 KiB"},
		{12_897_485, 47_815_066, "12.3/45.6 MiB"},
		{1 << 20, 3 << 30, "0.0/3.0 GiB"},
		{5 << 50, 5 << 50, "5120.0/5120.0 TiB"},
	}
	for _, test := range tests {
		if got := transfer(test.current, test.total); got != test.want {
			t.Errorf("transfer(%d, %d) = %s, want %s", test.current, test.total, got, test.want)
		}
	}
}
