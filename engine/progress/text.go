// Package progress shows people how a run goes: a plain log for CI, one screen
// for a terminal, and a summary at the end. Plain and Terminal are sinks of
// package engine.
//
// It must never know what a stage does, only the events that all stages share;
// nor whether its writer is a terminal: that is for the caller to find out.
package progress

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// clean makes one line of foreign text safe to show: no escape sequence, control
// or direction character is left, but for tabs, and bytes that are not UTF-8
// become U+FFFD. Of text that a carriage return overwrites, as progress bars do,
// the last stays.
func clean(line string) string {
	line = strings.TrimRight(line, "\r")
	line = line[strings.LastIndexByte(line, '\r')+1:]
	var b strings.Builder
	for len(line) > 0 {
		if line[0] == '\x1b' {
			line = line[escape(line):]
			continue
		}
		r, size := utf8.DecodeRuneInString(line)
		line = line[size:]
		if r == '\t' || !unicode.IsControl(r) && !unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// escape is the length of the escape sequence (ECMA-48) at the start of s, which
// may be cut short by the end of the line.
func escape(s string) int {
	if len(s) < 2 || s[1] < 0x20 {
		return 1
	}
	switch s[1] {
	case '[': // CSI: parameters, then one final byte
		for i := 2; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
		}
		return len(s)
	case ']', 'P', 'X', '^', '_': // OSC and other strings: up to BEL or ESC \
		for i := 2; i < len(s); i++ {
			if s[i] == '\a' {
				return i + 1
			}
			if s[i] == '\x1b' {
				return min(i+2, len(s))
			}
		}
		return len(s)
	}
	i := 1
	for i < len(s)-1 && s[i] >= 0x20 && s[i] <= 0x2f { // intermediate bytes
		i++
	}
	if s[i] >= utf8.RuneSelf { // no final byte: leave the character whole
		return i
	}
	return i + 1
}

// label is a name on one line: of a node or a step, which may be a heredoc.
func label(name string) string {
	return clean(strings.Join(strings.Fields(name), " "))
}

// fit cuts a line to a number of columns, with an ellipsis where it was cut.
func fit(line string, cols int) string {
	line = strings.ReplaceAll(line, "\t", " ")
	used, cut := 0, 0 // cut is how much leaves room for the ellipsis
	for i, r := range line {
		used += width(r)
		if used < cols {
			cut = i + utf8.RuneLen(r)
		}
		if used > cols {
			if cols < 1 {
				return ""
			}
			return line[:cut] + "…"
		}
	}
	return line
}

// wide is the ranges of East Asian Wide and Fullwidth characters and of emoji
// (Unicode TR11), in broad strokes: a cut a column too early does no harm.
var wide = [...][2]rune{
	{0x1100, 0x115f}, {0x231a, 0x231b}, {0x23e9, 0x23f3}, {0x25fd, 0x25fe}, {0x2614, 0x2615},
	{0x2648, 0x2653}, {0x26a1, 0x26a1}, {0x26d4, 0x26d4}, {0x2705, 0x2705}, {0x2728, 0x2728},
	{0x274c, 0x274c}, {0x2753, 0x2757}, {0x2b50, 0x2b50}, {0x2e80, 0x303e}, {0x3041, 0xa4cf},
	{0xa960, 0xa97c}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff00, 0xff60},
	{0xffe0, 0xffe6}, {0x1f000, 0x1faff}, {0x20000, 0x3fffd},
}

// width is the columns that a terminal gives to a character.
func width(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	for _, w := range wide {
		if r >= w[0] && r <= w[1] {
			return 2
		}
	}
	return 1
}

// duration is "3.2s", "4m05s" or "1h02m".
func duration(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute-50*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour-500*time.Millisecond:
		s := int(d.Round(time.Second).Seconds())
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	m := int(d.Round(time.Minute).Minutes())
	return fmt.Sprintf("%dh%02dm", m/60, m%60)
}

// Size is "12.3 MiB".
func Size(n int64) string {
	unit, name := unitOf(n)
	return amount(n, unit) + " " + name
}

// transfer is "12.3/45.6 MiB", or "12.3 MiB" when the total is not known.
func transfer(current, total int64) string {
	if total <= 0 {
		return Size(current)
	}
	unit, name := unitOf(total)
	return amount(current, unit) + "/" + amount(total, unit) + " " + name
}

func unitOf(n int64) (unit int64, name string) {
	unit, name = 1, "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n < unit<<10 {
			break
		}
		unit, name = unit<<10, next
	}
	return unit, name
}

func amount(n, unit int64) string {
	if unit == 1 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%.1f", float64(n)/float64(unit))
}
