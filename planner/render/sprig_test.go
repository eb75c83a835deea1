package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/Masterminds/sprig/v3"
)

// asTheyAre are the functions of sprig whose result follows from their
// arguments alone. A function that a new sprig brings belongs here, or among
// the refused or the repeatable.
const asTheyAre = `
abbrev abbrevboth add add1 add1f addf adler32sum all any append atoi b32dec b32enc b64dec b64enc base biggest
buildCustomCert camelcase cat ceil chunk clean coalesce compact concat contains decryptAES deepCopy deepEqual default
derivePassword dict dig dir div divf duration empty ext fail first float64 floor fromJson get has hasKey hasPrefix
hasSuffix hello indent initial initials int int64 isAbs join kebabcase kindIs kindOf last list lower max maxf merge
mergeOverwrite min minf mod mul mulf mustAppend mustChunk mustCompact mustDeepCopy mustFirst mustFromJson mustHas
mustInitial mustLast mustMerge mustMergeOverwrite mustPrepend mustPush mustRegexFind mustRegexFindAll mustRegexMatch
mustRegexReplaceAll mustRegexReplaceAllLiteral mustRegexSplit mustRest mustReverse mustSlice mustToJson
mustToPrettyJson mustToRawJson mustUniq mustWithout nindent nospace omit osBase osClean osDir osExt osIsAbs pick pluck
plural prepend push quote regexFind regexFindAll regexMatch regexQuoteMeta regexReplaceAll regexReplaceAllLiteral
regexSplit repeat replace rest reverse round semver semverCompare seq set sha1sum sha256sum sha512sum slice snakecase
sortAlpha split splitList splitn squote sub subf substr swapcase ternary title toDecimal toJson toPrettyJson toRawJson
toString toStrings trim trimAll trimPrefix trimSuffix trimall trunc tuple typeIs typeIsLike typeOf uniq unset until
untilStep untitle upper urlJoin urlParse without wrap wrapWith
`

func TestEveryFunctionIsDecided(t *testing.T) {
	decided := map[string]string{}
	decide := func(name, as string) {
		if was := decided[name]; was != "" {
			t.Errorf("%s is both %s and %s", name, was, as)
		}
		decided[name] = as
	}
	for name := range strings.FieldsSeq(asTheyAre) {
		decide(name, "as it is")
	}
	for name := range refused {
		decide(name, "refused")
	}
	for name := range repeatable {
		decide(name, "repeatable")
	}
	decide("env", "our own")
	have := slices.Sorted(maps.Keys(sprig.TxtFuncMap()))
	if want := slices.Sorted(maps.Keys(decided)); !slices.Equal(have, want) {
		for _, name := range have {
			if decided[name] == "" {
				t.Errorf("%s is not decided", name)
			}
		}
		for _, name := range want {
			if !slices.Contains(have, name) {
				t.Errorf("sprig has no %s", name)
			}
		}
	}
	for name := range maps.Keys(shallow) {
		if decided[name] == "" && name != "required" {
			t.Errorf("shallow has %s, which is no function", name)
		}
	}
	for name := range maps.Keys(growing) {
		if decided[name] == "" && !strings.HasPrefix(name, "printf") {
			t.Errorf("growing has %s, which is no function", name)
		}
	}
}

func TestRefusedFunctions(t *testing.T) {
	for name, r := range refused {
		// Named where it is called, however it is called; where it is not, let be.
		want := fmt.Sprintf("werf.yaml:1:4: %s is not deterministic: %s, and one commit must always give one plan\n"+
			"  1 | {{ %s 1 \"a\" }}\n    |    ^\n  %s", name, r.why, name, r.instead)
		_, err := Render(t.Context(), "werf.yaml", fmt.Appendf(nil, "{{ %s 1 \"a\" }}", name), Project{})
		if err == nil || err.Error() != want {
			t.Errorf("got:\n%v\nwant:\n%s", err, want)
		}
		out, err := Render(t.Context(), "werf.yaml", fmt.Appendf(nil, "{{ if false }}{{ %s }}{{ end }}ok", name), Project{})
		if err != nil || string(out.Text) != "ok" {
			t.Errorf("%s that is not called: %v", name, err)
		}
	}
}

func TestDates(t *testing.T) {
	t.Setenv("TZ", "America/New_York")
	tests := []struct{ text, want, fails string }{
		{`{{ date "2006-01-02 15:04 MST" .Commit.Date.Unix }}`, "2025-05-21 11:39 UTC", ""},
		{`{{ .Commit.Date.Unix | date "06" }} {{ 0 | date "2006" }} {{ int64 0 | htmlDate }}`, "25 1970 1970-01-01", ""},
		{`{{ dateInZone "15:04" 0 "Asia/Tokyo" }} {{ date_in_zone "15:04" 0 "" }} {{ htmlDateInZone 0 "Asia/Tokyo" }}`, "09:00 00:00 1970-01-01", ""},
		{`{{ $d := toDate "2006-01-02" "2020-02-29" }}{{ $d }} {{ $d.Year }} {{ $d.Month }} {{ $d.Format "02" }} {{ unixEpoch $d }} {{ date "Jan" $d }}`,
			"2020-02-29 00:00:00 +0000 UTC 2020 February 29 1582934400 Feb", ""},
		{`{{ dateModify "-1h" (toDate "2006" "2020") | date "2006 15" }} {{ dateModify "x" 0 | unixEpoch }} {{ toDate "2006" "x" | date "2006" }}`, "2019 23 0 0001", ""},
		{`{{ toYaml (toDate "2006" "2020") }}`, `"2020-01-01T00:00:00Z"`, ""},
		{`{{ duration "95" }} {{ durationRound "2h10m" }}`, "1m35s 2h", ""},
		{`{{ date "2006" "2020" }}`, "", "a date is needed here, or seconds since 1970, not a string"},
		{`{{ htmlDate nil }}`, "", "a date is needed here, or seconds since 1970, not nothing"},
		{`{{ dateInZone "15" 0 "Local" }}`, "", "the time zone of the machine is not known to templates"},
		{`{{ dateInZone "15" 0 "Mars/Olympus" }}`, "", `there is no time zone "Mars/Olympus"`},
		{`{{ mustToDate "2006" "x" }}`, "", `mustToDate: parsing time "x" as "2006": cannot parse "x" as "2006"`},
		{`{{ mustDateModify "x" 0 }}`, "", `mustDateModify: time: invalid duration "x"`},
		{`{{ durationRound (toDate "2006" "2020") }}`, "", "durationRound of a date is not deterministic: it reads the clock"},
		{`{{ (toDate "2006" "2020").Local }}`, "", "there is no .Local in a date"},
	}
	for _, test := range tests {
		out, err := Render(t.Context(), "werf.yaml", []byte(test.text), Project{Commit: head})
		switch {
		case test.fails != "":
			if err == nil || !strings.Contains(err.Error(), ": "+test.fails+"\n") {
				t.Errorf("%s: got %v, want %s", test.text, err, test.fails)
			}
		case err != nil:
			t.Errorf("%s: %v", test.text, err)
		case string(out.Text) != test.want:
			t.Errorf("%s: got %q, want %q", test.text, out.Text, test.want)
		}
	}
}
