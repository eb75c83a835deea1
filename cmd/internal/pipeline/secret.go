package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"slipway/planner/diag"
	"slipway/stages/chart/secret"
)

// SecretOptions say where the secret key is: Key, else .werf_secret_key in Dir,
// else global_secret_key in Home.
type SecretOptions struct {
	Key  string // 32, 48 or 64 hexadecimal digits, from $WERF_SECRET_KEY
	Dir  string // the project; "" is the current directory
	Home string // "" is ~/.werf
}

// SecretText is what is encrypted or decrypted.
type SecretText struct {
	Data   []byte
	Values bool   // a YAML file, each value on its own
	Name   string // of the file, for errors; "" where it is no file
}

// GenerateSecretKey makes a secret key.
func GenerateSecretKey() string { return secret.GenerateKey() }

// EncryptSecret encrypts a text.
func EncryptSecret(o SecretOptions, t SecretText) ([]byte, error) {
	key, err := o.key()
	if err != nil {
		return nil, err
	}
	return encrypt(key, t)
}

// DecryptSecret decrypts a text.
func DecryptSecret(o SecretOptions, t SecretText) ([]byte, error) {
	key, err := o.key()
	if err != nil {
		return nil, err
	}
	return decrypt(key, t)
}

func encrypt(key *secret.Key, t SecretText) ([]byte, error) {
	if !t.Values {
		return append(key.Encrypt(t.Data), '\n'), nil
	}
	out, err := key.EncryptValues(t.Data)
	return out, aboutSecret(t.Name, err)
}

func decrypt(key *secret.Key, t SecretText) ([]byte, error) {
	if t.Values {
		out, err := key.DecryptValues(t.Data)
		return out, aboutSecret(t.Name, err)
	}
	out, err := key.Decrypt(t.Data)
	if err != nil {
		d := &diag.Diagnostic{File: t.Name, Message: "the text cannot be decrypted: it is " + err.Error()}
		if err == secret.ErrNotEncrypted {
			d.Advice = "a file of values is decrypted with secret values"
		}
		return nil, d
	}
	return out, nil
}

// aboutSecret makes diagnostics of what the secret package says of a file of
// values. Its lines are not shown: they may hold secrets.
func aboutSecret(name string, err error) error {
	var one *secret.Error
	var all secret.Errors
	if !errors.As(err, &all) {
		if !errors.As(err, &one) {
			return err
		}
		all = secret.Errors{one}
	}
	var list diag.List
	for _, e := range all {
		file := e.File
		if file == "" {
			file = name
		}
		list.Add(&diag.Diagnostic{File: file, Line: e.Line, Column: e.Column, Message: e.Text(), Advice: e.Advice})
	}
	return list.Err()
}

const (
	secretKeyFile  = ".werf_secret_key"  // in the project
	globalKeyFile  = "global_secret_key" // in the home directory
	generateAdvice = "slipway helm secret generate-secret-key makes one"
)

// key finds the secret key.
func (o SecretOptions) key() (*secret.Key, error) {
	if o.Key != "" {
		return parseSecretKey("$WERF_SECRET_KEY", o.Key)
	}
	if o.Home == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			home = "~" // a directory that is not there, named in the error
		}
		o.Home = filepath.Join(home, ".werf")
	}
	files := []string{filepath.Join(o.Dir, secretKeyFile), filepath.Join(o.Home, globalKeyFile)}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the secret key: %w", err)
		}
		return parseSecretKey(name, string(text))
	}
	d := &diag.Diagnostic{Message: fmt.Sprintf("there is no secret key: $WERF_SECRET_KEY is not set, and neither %s nor %s exists", files[0], files[1])}
	return nil, d.Advise("%s; keep %s out of git", generateAdvice, secretKeyFile)
}

func parseSecretKey(from, text string) (*secret.Key, error) {
	key, err := secret.ParseKey(text)
	if err != nil {
		return nil, &diag.Diagnostic{File: from, Message: err.Error(), Advice: generateAdvice}
	}
	return key, nil
}
