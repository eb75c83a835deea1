package worker

import "testing"

func TestSlots(t *testing.T) {
	dir := t.TempDir()
	first, release, err := takeSlot(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, releaseSecond, err := takeSlot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer releaseSecond()
	if first == second {
		t.Errorf("two runs have %s", first)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	again, releaseAgain, err := takeSlot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer releaseAgain()
	if again != first {
		t.Errorf("got %s, want the one that is free again, %s", again, first)
	}
}
