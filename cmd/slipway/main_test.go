package main

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	rendererMain()
	os.Exit(m.Run())
}
