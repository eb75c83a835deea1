package main

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	started()
	os.Exit(m.Run())
}
