package engine

import "testing"

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"https://example.org/a?b=c#d":                     "https://example.org/a?b=c#d",
		"ADD https://user:pa:ss@example.org/a /a":         "ADD https://example.org/a /a",
		"https://token@example.org and http://:p@h:80/x":  "https://example.org and http://h:80/x",
		"https://u:p@ss@example.org/user@b":               "https://example.org/user@b",
		"'HTTPS://u:p@example.org/a'":                     "'HTTPS://example.org/a'",
		"ssh://git@example.org/a ssh://git:p@h/a":         "ssh://git@example.org/a ssh://git@h/a",
		"git@example.org:a/b.git mail me@example.org":     "git@example.org:a/b.git mail me@example.org",
		"https://h/a?v=1&access_token=abc&x=2":            "https://h/a?v=1&access_token=xxxxx&x=2",
		"https://h/a?X-Amz-Signature=abc#f":               "https://h/a?X-Amz-Signature=xxxxx#f",
		"https://h/a?sig=abc&design=blue&sv=1":            "https://h/a?sig=xxxxx&design=blue&sv=1",
		"no address, token=abc":                           "no address, token=abc",
		"https://h/a?token=":                              "https://h/a?token=",
		`["https://u:p@h/a?password=x", "https://h/b@c"]`: `["https://h/a?password=xxxxx", "https://h/b@c"]`,
	} {
		got := Redact(text)
		if got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		if again := Redact(got); again != got {
			t.Errorf("%q became %q the second time", got, again)
		}
	}
}
