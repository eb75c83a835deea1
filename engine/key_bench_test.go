package engine

import "testing"

// BenchmarkKeyWriter writes a key of as many fields as an image that reads twenty
// files has.
func BenchmarkKeyWriter(b *testing.B) {
	for b.Loop() {
		w := NewKeyWriter("build", 1, nil)
		for range 25 {
			w.Field("reads", `"services/svc-0001/src/part-0/file-0000.txt" 0644 8d2e36e4a3f1f0c3f3dbd2ef8e1a4d7b8a1d6e55`)
		}
		w.Sum()
	}
}
