package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// Values keep their Go types and their bytes, on which templates depend.
func TestValuesKeepTheirTypes(t *testing.T) {
	for name, v := range map[string]any{
		"nil": nil, "true": true, "false": false,
		"integer": int64(-7), "zero": int64(0), "largest": int64(math.MaxInt64), "smallest": int64(math.MinInt64),
		"float": 1.5, "float of an integer": float64(7), "float zero": 0.0, "infinite": math.Inf(-1),
		"number": json.Number("12345678901234567890.10"), "number of nothing": json.Number(""),
		"text": "a\nb", "no text": "", "no UTF-8": "\xff\x00\xfe",
		"list":    []any{nil, int64(1), 1.0, "1", json.Number("1"), []any{}, map[string]any{}},
		"no list": []any(nil), "empty list": []any{}, "no mapping": map[string]any(nil), "empty mapping": map[string]any{},
		"mapping": map[string]any{"": nil, "b": map[string]any{"c": []any{map[string]any{"d": nil}}}, "a.b": false},
	} {
		t.Run(name, func(t *testing.T) {
			want := Request{Render: &Render{Release: "r", Values: map[string]any{"v": v}}}
			var b bytes.Buffer
			if err := WriteRequest(&b, want); err != nil {
				t.Fatal(err)
			}
			got, err := ReadRequest(&b)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %#v, want %#v", got.Render, want.Render)
			}
		})
	}
}

func TestValuesOfOtherTypes(t *testing.T) {
	for _, v := range []any{7, []string{"a"}, map[string]string{}, struct{}{}} {
		err := WriteRequest(new(bytes.Buffer), Request{Render: &Render{Values: map[string]any{"a": []any{v}}}})
		if err == nil || !strings.Contains(err.Error(), "cannot be one") {
			t.Errorf("%T: got %v", v, err)
		}
	}
}

// No values are not empty ones, and an empty file is a file.
func TestRequest(t *testing.T) {
	for name, want := range map[string]Request{
		"render": {Render: &Render{
			Chart:   []File{{"Chart.yaml", []byte("name: \xff")}, {"values.schema.json", []byte{}}},
			Release: "r", Namespace: "n", KubeVersion: "1.2", APIVersions: []string{"a/v1"}, Upgrade: true, IncludeCRDs: true, SkipSchema: true, Secrets: true, Validate: true,
		}},
		"schemas": {Schemas: []File{{"a", []byte{}}}},
		"nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteRequest(&b, want); err != nil {
				t.Fatal(err)
			}
			if got, err := ReadRequest(&b); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %#v, %v, want %#v", got, err, want)
			}
		})
	}
}

func TestResponse(t *testing.T) {
	mistake := &Error{File: "f", Line: 1, Column: 2, Source: "s", Message: "m", Advice: "a", Via: []string{"x:1", "y:2"}}
	endless := *mistake
	endless.Cause = ErrEndless
	for name, want := range map[string]Response{
		"manifests": {Manifests: []Manifest{{"p", "\xff", true}}},
		"problems":  {Findings: Findings{[]*Problem{{"p", "r", 1, "m"}}, []string{"u"}}},
		"mismatch":  {Mismatch: &Mismatch{"charts/a", ".Values.a", "m"}},
		"nothing":   {},
		"mistake":   {Err: mistake},
		"endless":   {Err: &endless, Endless: true},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteResponse(&b, want); err != nil {
				t.Fatal(err)
			}
			got, err := ReadResponse(&b)
			if err != nil || !reflect.DeepEqual(*got, want) {
				t.Errorf("got %#v, %v, want %#v", got, err, want)
			}
			if want.Endless && !errors.Is(got.Err, ErrEndless) {
				t.Error("the cause is lost")
			}
		})
	}
}
