package bundles

import (
	"fmt"
	"strings"

	"slipway/oci"
	"slipway/planner/diag"
)

// address is where a bundle is: in a registry, in an OCI layout, or in an archive.
type address struct {
	given   string
	archive string        // path; "" for the others
	ref     oci.Reference // of the others, with a tag or a digest
}

// parseAddress reads what --from and --to take.
func parseAddress(flag, given string) (address, error) {
	a := address{given: given}
	if given == "" {
		return a, &diag.Diagnostic{Message: flag + " is missing", Advice: "it can be HOST/REPO:TAG, archive:FILE or oci:DIR:TAG"}
	}
	if file, ok := strings.CutPrefix(given, "archive:"); ok {
		if a.archive = file; file == "" {
			return a, &diag.Diagnostic{Message: fmt.Sprintf("%s %s: there is no file name", flag, given), Advice: "write archive:FILE"}
		}
		return a, nil
	}
	ref, err := oci.ParseReference(strings.TrimPrefix(given, "docker://"))
	if err != nil {
		return a, &diag.Diagnostic{Message: fmt.Sprintf("%s: %v", flag, err), Advice: "it can be HOST/REPO:TAG, archive:FILE or oci:DIR:TAG"}
	}
	if ref.Tag == "" && ref.Digest == "" {
		ref.Tag = "latest"
	}
	a.ref = ref
	return a, nil
}

func (a address) isArchive() bool  { return a.archive != "" }
func (a address) isRegistry() bool { return !a.isArchive() && !a.ref.IsLayout() }

// version is what the reference resolves by: its digest, else its tag.
func (a address) version() string {
	if a.ref.Digest != "" {
		return a.ref.Digest.String()
	}
	return a.ref.Tag
}

func (a address) String() string {
	if a.isArchive() {
		return "archive:" + a.archive
	}
	return a.ref.String()
}
