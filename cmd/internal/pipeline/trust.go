package pipeline

import (
	"bytes"
	"maps"
	"slices"

	"slipway/engine"
	"slipway/oci"
	"slipway/stages"
)

// trust lets plan records answer for the images that goals ask for first: those
// that no other image stands before. What lies under them is only looked at where
// one is missing. Each repository that has such images has a record of its own; the
// nodes that find or write them, which are returned, come after all goals.
func (r *run) trust(goals []*engine.Node) (records []*engine.Node) {
	first := map[oci.Repository]map[engine.Key][]*engine.Node{}
	seen := map[*engine.Node]bool{}
	var visit func([]*engine.Node)
	visit = func(nodes []*engine.Node) {
		for _, n := range nodes {
			if seen[n] {
				continue
			}
			seen[n] = true
			kept, ok := n.Stage.(stages.Kept)
			if !ok {
				visit(n.Needs)
				continue
			}
			repo, key := kept.Kept()
			if first[repo] == nil {
				first[repo] = map[engine.Key][]*engine.Node{}
			}
			first[repo][key] = append(first[repo][key], n)
		}
	}
	visit(goals)
	for _, repo := range []oci.Repository{r.repo, r.final} {
		images := first[repo]
		if len(images) == 0 {
			continue
		}
		keys := slices.SortedFunc(maps.Keys(images), func(a, b engine.Key) int { return bytes.Compare(a[:], b[:]) })
		record := stages.NewRecord(repo, keys, r.options.Project.KeyTrace)
		node := &engine.Node{ID: "record " + record.String(), Kind: "record", Stage: record}
		for _, key := range keys {
			for _, n := range images[key] {
				n.Stage = record.Trusting(n.Stage.(stages.Kept))
			}
			node.Needs = append(node.Needs, images[key][0])
		}
		node.Needs = append(node.Needs, goals...)
		records = append(records, node)
	}
	return records
}
