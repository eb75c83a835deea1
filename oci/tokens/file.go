package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxFile is more than any file of tokens has: it bounds what is read.
const maxFile = 1 << 20

// entry is a token that is kept.
type entry struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// content is a file: tokens by what they are good for, the scopes as the auth
// client writes them.
type content struct {
	Tokens map[string]entry `json:"tokens"`
}

// usable tells whether a token can be sent. One that ends later than any that is
// kept was written under another clock; one that is not text would break the
// request that has it.
func (e entry) usable(now time.Time) bool {
	isText := e.Token != "" && !strings.ContainsFunc(e.Token, func(r rune) bool { return r <= ' ' || r > '~' })
	return isText && now.Add(margin).Before(e.Expires) && !e.Expires.After(now.Add(maxLife))
}

const (
	separator = "@" // which url.QueryEscape escapes, so that no host has it
	suffix    = ".json"
	unwritten = ".new"
)

// fileName shows the host, for who wants to remove its file, and hides whose it is.
func fileName(host string, identity []byte) string {
	return fmt.Sprintf("%s%x%s", filePrefix(host), identity, suffix)
}

func filePrefix(host string) string { return url.QueryEscape(strings.ToLower(host)) + separator }

// private tells whether a file or directory is there, and can be read or written by
// nobody but the user.
func private(path string) bool {
	info, err := os.Stat(path)
	return err == nil && (info.IsDir() || info.Mode().IsRegular()) && owned(info)
}

// readFile reads what can be used of a file; nothing if it is not as it should be.
func readFile(path string, now time.Time) map[string]entry {
	if !private(path) {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	var kept content
	if raw, err := io.ReadAll(io.LimitReader(file, maxFile)); err != nil || json.Unmarshal(raw, &kept) != nil {
		return nil
	}
	for scopes, e := range kept.Tokens {
		if !e.usable(now) {
			delete(kept.Tokens, scopes)
		}
	}
	return kept.Tokens
}

// writeFile puts a token into a file, and drops those that cannot be used, which this
// one may be. A new file takes the old one's place, so that nobody reads half of one.
func writeFile(path, scopes string, e entry, now time.Time) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil || !private(dir) {
		return
	}
	kept := content{Tokens: readFile(path, now)}
	if kept.Tokens == nil {
		kept.Tokens = map[string]entry{}
	}
	if kept.Tokens[scopes] = e; !e.usable(now) {
		delete(kept.Tokens, scopes)
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return
	}
	file, err := os.CreateTemp(dir, "*"+unwritten) // with mode 0600
	if err != nil {
		return
	}
	_, err = file.Write(raw)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	sweep(dir, now)
}

// sweep removes files that were not written for so long that no token in them is
// good: those of credentials of before, and what a killed process has left.
func sweep(dir string, now time.Time) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		ours := strings.HasSuffix(e.Name(), suffix) || strings.HasSuffix(e.Name(), unwritten)
		if info, err := e.Info(); err == nil && ours && info.Mode().IsRegular() && now.Sub(info.ModTime()) > maxLife {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// removeFiles removes the files of a host.
func removeFiles(dir, host string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil // a file in its place is how users keep tokens from being kept
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), filePrefix(host)) {
			continue
		}
		if rm := os.Remove(filepath.Join(dir, e.Name())); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
			err = errors.Join(err, rm)
		}
	}
	if err != nil {
		return fmt.Errorf("removing the tokens that are kept for %s: %w", host, err)
	}
	return nil
}
