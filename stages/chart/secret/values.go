package secret

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// EncryptValues encrypts each scalar value of a YAML file. Keys, comments, their
// order, anchors, aliases, nulls and quotes stay; blank lines and indentation do
// not. A number or a boolean is encrypted as the text that stands in the file,
// and is a string from then on. Mistakes in the file are an *Error or Errors.
func (k *Key) EncryptValues(text []byte) ([]byte, error) {
	return k.encryptValues(text, map[string][]yaml.Node{})
}

// UpdateValues is EncryptValues for an edited file: old is the encrypted file
// before, and a value that is as it was keeps its encrypted text, wherever its
// list has moved it. The key must be that of the old file.
func (k *Key) UpdateValues(old, text []byte) ([]byte, error) {
	document, err := parse(old)
	if err != nil {
		return nil, err
	}
	known := map[string][]yaml.Node{}
	for _, l := range leaves(document) {
		encrypted := *l.Node
		if err := k.decryptLeaf(l); err == nil {
			known[same(l)] = append(known[same(l)], encrypted)
		}
	}
	return k.encryptValues(text, known)
}

// same is what a value and the same one after an edit have in common.
func same(l leaf) string { return l.place + "\x00" + l.Value }

// encryptValues takes encrypted texts from known as long as there are any.
func (k *Key) encryptValues(text []byte, known map[string][]yaml.Node) ([]byte, error) {
	document, err := parse(text)
	if err != nil {
		return nil, err
	}
	if document == nil {
		return text, nil // comments at most
	}
	errs := duplicates(document)
	for _, l := range leaves(document) {
		if e := k.unfit(l); e != nil {
			errs = append(errs, e)
			continue
		}
		name := same(l)
		if old := known[name]; len(old) > 0 {
			l.Tag, l.Value, l.Style = old[0].Tag, old[0].Value, old[0].Style
			known[name] = old[1:]
		} else if err := set(l.Node, string(k.Encrypt([]byte(l.Value)))); err != nil {
			return nil, err
		}
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return marshal(document)
}

// unfit tells why a value cannot be encrypted and decrypted again.
func (k *Key) unfit(l leaf) *Error {
	switch l.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp", "!!merge":
	default:
		return at(l.Node, l.path, fmt.Sprintf("the tag %s would be lost", l.ShortTag()), "remove the tag; encrypt binary data as a secret file")
	}
	if plain, err := k.Decrypt([]byte(l.Value)); err == nil && plain != nil {
		return at(l.Node, l.path, "the value is encrypted already, with this key", "change encrypted files with secret values edit")
	}
	return nil
}

// DecryptValues decrypts each scalar value of a YAML file, which all become
// strings. Mistakes are an *Error or Errors, which tell, as far as it can be told,
// a wrong key (no value decrypts) from damaged values (others do).
func (k *Key) DecryptValues(text []byte) ([]byte, error) {
	document, err := parse(text)
	if err != nil {
		return nil, err
	}
	if document == nil {
		return text, nil // comments at most
	}
	var errs Errors
	var failed, decrypted int
	for _, l := range leaves(document) {
		err := k.decryptLeaf(l)
		var e *Error
		switch {
		case err == nil:
			if l.Value != "" {
				decrypted++
			}
			continue
		case !errors.As(err, &e):
			return nil, err
		case e.Cause == ErrUndecipherable:
			failed++
		}
		errs = append(errs, e)
	}
	if failed > 0 && decrypted == 0 {
		message := fmt.Sprintf("the secret key is not the one of this file: none of its %d values can be decrypted", failed)
		if failed == 1 {
			message = "the secret key is not the one of this file, or its only value is damaged"
		}
		return nil, &Error{Message: message, Cause: ErrUndecipherable}
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return marshal(document)
}

// decryptLeaf decrypts a value in place. What the user has to mend is an *Error.
func (k *Key) decryptLeaf(l leaf) error {
	if e := encryptedForm(l); e != nil {
		return e
	}
	plain, err := k.Decrypt([]byte(l.Value))
	if err == nil && !utf8.Valid(plain) {
		err = ErrUndecipherable // a wrong key, when the padding is right by chance
	}
	switch err {
	case nil:
		return set(l.Node, string(plain))
	case ErrNewerFormat:
		e := at(l.Node, l.path, err.Error(), "decrypt the file with werf 3 and encrypt it anew")
		e.Cause = err
		return e
	}
	e := at(l.Node, l.path, "cannot be decrypted, though other values of the file can: it is damaged or of another key", "enter the value anew")
	e.Cause = err
	return e
}

// encryptedForm checks what can be checked without a key.
func encryptedForm(l leaf) *Error {
	if l.ShortTag() == "!!str" {
		if _, err := decode([]byte(l.Value)); err == nil {
			return nil
		}
	}
	e := at(l.Node, l.path, "the value is not encrypted, or damaged", "encrypt it with secret encrypt, or write the file with secret values edit")
	e.Cause = ErrNotEncrypted
	return e
}
