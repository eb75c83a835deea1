// Command work stands for what a RUN of a Dockerfile does: it reads a directory,
// works, and writes a file. The benchmarks put it into the image that all others
// are made from. It must never know the time or the machine: the same files give
// the same output.
//
//	work NAME DIR OUT WORK SIZE
//
// hashes the files under DIR and then WORK MiB more, and writes SIZE MiB to OUT.
// It prints "work: NAME", which says that this step was run and not found.
package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

func main() {
	if err := work(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "work:", err)
		os.Exit(1)
	}
}

func work(args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("want NAME DIR OUT WORK SIZE, have %q", args)
	}
	amount, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(args[4])
	if err != nil {
		return err
	}
	fmt.Println("work:", args[0])
	hash := sha256.New()
	err = filepath.WalkDir(args[1], func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		hash.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for range amount {
		hash.Write(block)
	}
	random := rand.NewChaCha8([32]byte(hash.Sum(nil)))
	if err := os.MkdirAll(filepath.Dir(args[2]), 0o755); err != nil {
		return err
	}
	out, err := os.Create(args[2])
	if err != nil {
		return err
	}
	for range size {
		_, _ = random.Read(block) // it never fails
		if _, err := out.Write(block); err != nil {
			return err
		}
	}
	return out.Close()
}
