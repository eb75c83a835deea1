package render

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/template"
	"time"
	_ "time/tzdata" // a zone means the same where the machine has no database of them

	"github.com/Masterminds/sprig/v3"
)

const (
	random = "it gives something else each time"
	clock  = "it reads the clock"

	insteadOfRandom = "make the value once and commit it, or pass it in an environment variable: {{ env \"NAME\" }}"
	insteadOfClock  = "use the commit's date: .Commit.Date.Unix, .Commit.Date.Human"
)

// refused are the functions of sprig that would make the plan of one commit
// differ from run to run or from machine to machine: why, and what to do
// instead. They are known, so that calling one says this.
var refused = map[string]struct{ why, instead string }{
	"now": {clock, insteadOfClock},
	"ago": {clock, insteadOfClock},

	"randAlpha":    {random, insteadOfRandom},
	"randAlphaNum": {random, insteadOfRandom},
	"randAscii":    {random, insteadOfRandom},
	"randBytes":    {random, insteadOfRandom},
	"randInt":      {random, insteadOfRandom},
	"randNumeric":  {random, insteadOfRandom},
	"shuffle":      {random, insteadOfRandom},
	"uuidv4":       {random, insteadOfRandom},

	"bcrypt":                   {random, insteadOfRandom},
	"encryptAES":               {random, insteadOfRandom},
	"genCA":                    {random, insteadOfRandom},
	"genCAWithKey":             {random, insteadOfRandom},
	"genPrivateKey":            {random, insteadOfRandom},
	"genSelfSignedCert":        {random, insteadOfRandom},
	"genSelfSignedCertWithKey": {random, insteadOfRandom},
	"genSignedCert":            {random, insteadOfRandom},
	"genSignedCertWithKey":     {random, insteadOfRandom},
	"htpasswd":                 {random, insteadOfRandom},

	"expandenv":     {"it reads the whole environment", "name each variable: {{ env \"NAME\" }}"},
	"getHostByName": {"it asks the network", "commit the address, or pass it in an environment variable: {{ env \"NAME\" }}"},
}

// refuse is a function of any arguments that says why it is none.
func refuse(name string, r struct{ why, instead string }) any {
	return func(...any) (any, error) {
		return nil, &mistake{
			message: fmt.Sprintf("%s is not deterministic: %s, and one commit must always give one plan", name, r.why),
			advice:  r.instead,
		}
	}
}

// repeatable replaces functions of sprig that depend on the order of a map, on
// the machine's time zone, or on the clock where they are given no date.
var repeatable = template.FuncMap{
	"keys":   keys,
	"values": values,

	"toDate":           func(layout, s string) instant { t, _ := toDate(layout, s); return t },
	"mustToDate":       toDate,
	"date":             func(layout string, date any) (string, error) { return dateInZone(layout, date, "UTC") },
	"dateInZone":       dateInZone,
	"date_in_zone":     dateInZone,
	"htmlDate":         func(date any) (string, error) { return dateInZone(time.DateOnly, date, "UTC") },
	"htmlDateInZone":   func(date any, zone string) (string, error) { return dateInZone(time.DateOnly, date, zone) },
	"dateModify":       dateModify,
	"date_modify":      dateModify,
	"mustDateModify":   mustDateModify,
	"must_date_modify": mustDateModify,
	"durationRound":    durationRound,
	"unixEpoch": func(date any) (string, error) {
		t, err := toInstant(date)
		return strconv.FormatInt(t.Unix(), 10), err
	},
}

// keys are the keys of all dictionaries, sorted within each.
func keys(dicts ...map[string]any) []string {
	all := []string{}
	for _, dict := range dicts {
		all = append(all, slices.Sorted(maps.Keys(dict))...)
	}
	return all
}

// values are those of a dictionary, in the order of its keys.
func values(dict map[string]any) []any {
	all := []any{}
	for _, key := range keys(dict) {
		all = append(all, dict[key])
	}
	return all
}

// instant is a date for templates. It is not a time.Time, whose methods know
// the machine's time zone.
type instant struct{ t time.Time }

func (i instant) Year() int                   { return i.t.Year() }
func (i instant) Month() time.Month           { return i.t.Month() }
func (i instant) Day() int                    { return i.t.Day() }
func (i instant) Hour() int                   { return i.t.Hour() }
func (i instant) Minute() int                 { return i.t.Minute() }
func (i instant) Second() int                 { return i.t.Second() }
func (i instant) Weekday() time.Weekday       { return i.t.Weekday() }
func (i instant) YearDay() int                { return i.t.YearDay() }
func (i instant) Unix() int64                 { return i.t.Unix() }
func (i instant) Format(layout string) string { return i.t.Format(layout) }
func (i instant) String() string              { return i.t.String() }

// MarshalText is for toYaml and toJson.
func (i instant) MarshalText() ([]byte, error) { return i.t.MarshalText() }

func toInstant(date any) (instant, error) {
	switch d := date.(type) {
	case instant:
		return d, nil
	case int64:
		return instant{time.Unix(d, 0).UTC()}, nil
	case int:
		return instant{time.Unix(int64(d), 0).UTC()}, nil
	case int32:
		return instant{time.Unix(int64(d), 0).UTC()}, nil
	}
	// sprig takes anything else for the present.
	return instant{}, &mistake{
		message: fmt.Sprintf("a date is needed here, or seconds since 1970, not %s", plainType(fmt.Sprintf("%T", date))),
		advice:  "dates are made with toDate; the commit's is .Commit.Date.Unix",
	}
}

func toDate(layout, s string) (instant, error) {
	t, err := time.ParseInLocation(layout, s, time.UTC)
	if err != nil {
		return instant{time.Time{}}, err
	}
	return instant{t}, nil
}

func dateInZone(layout string, date any, zone string) (string, error) {
	i, err := toInstant(date)
	if err != nil {
		return "", err
	}
	if zone == "Local" {
		return "", &mistake{message: "the time zone of the machine is not known to templates", advice: `name one, such as "UTC" or "Europe/Berlin"`}
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return "", &mistake{message: fmt.Sprintf("there is no time zone %q", zone), advice: `name one, such as "UTC" or "Europe/Berlin"`}
	}
	return i.t.In(location).Format(layout), nil
}

func dateModify(by string, date any) (instant, error) {
	i, err := toInstant(date)
	if err != nil {
		return instant{}, err
	}
	if d, err := time.ParseDuration(by); err == nil {
		i.t = i.t.Add(d)
	}
	return i, nil
}

func mustDateModify(by string, date any) (instant, error) {
	if _, err := time.ParseDuration(by); err != nil {
		return instant{}, err
	}
	return dateModify(by, date)
}

func durationRound(duration any) (string, error) {
	if _, ok := duration.(instant); ok {
		return "", &mistake{message: "durationRound of a date is not deterministic: it reads the clock", advice: insteadOfClock}
	}
	return sprig.TxtFuncMap()["durationRound"].(func(any) string)(duration), nil
}

var pointerVerb = regexp.MustCompile(`%[-+# 0-9.*\[\]]*p`)

// printf is fmt.Sprintf without addresses, which differ from run to run.
func printf(format string, args ...any) (string, error) {
	if pointerVerb.MatchString(strings.ReplaceAll(format, "%%", "")) {
		return "", errors.New("%p prints an address in memory, which is different each time")
	}
	return fmt.Sprintf(format, args...), nil
}

// functionNames are all names that a template can call, for suggestions.
func (r *run) functionNames() []string {
	names := slices.Clone(builtinNames)
	for name := range r.functions {
		if _, no := refused[name]; !no {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return slices.Compact(names)
}
