package bundle

import (
	"os"
	"testing"

	"slipway/stages/chart/render/engine"
)

func TestMain(m *testing.M) {
	engine.Main()
	os.Exit(m.Run())
}
