package pipeline

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"slipway/planner"
	"slipway/planner/diag"
)

// reportVariable begins the names of an image's variables in the env form.
func reportVariable(image string) string {
	if image == "" {
		return "WERF_"
	}
	return "WERF_" + strings.NewReplacer("/", "_", "-", "_", ".", "_").Replace(strings.ToUpper(image)) + "_"
}

// checkReportNames refuses images whose variables would overwrite each other.
func checkReportNames(images []*planner.Image) error {
	taken := map[string]string{}
	var wrong diag.List
	for _, image := range images {
		variable := reportVariable(image.Name)
		if other, ok := taken[variable]; ok {
			wrong.Add(&diag.Diagnostic{
				Message: fmt.Sprintf("the images %q and %q would have the same variables in the build report, %s*", shown(other), shown(image.Name), variable),
				Advice:  "let --build-report-path end in .json, where names are kept as they are, or rename one",
			})
			continue
		}
		taken[variable] = image.Name
	}
	return wrong.Err()
}

// envReport is the report as a file that a shell can source.
func envReport(images []ReportedImage) []byte {
	var b bytes.Buffer
	for _, i := range images {
		variable := reportVariable(i.WerfImageName)
		for _, v := range []struct{ name, value string }{
			{"DOCKER_IMAGE_NAME", i.DockerImageName},
			{"DOCKER_IMAGE_ID", i.DockerImageID},
			{"DOCKER_IMAGE_DIGEST", i.DockerImageDigest},
			{"DOCKER_REPO", i.DockerRepo},
			{"DOCKER_TAG", i.DockerTag},
			{"WERF_IMAGE_NAME", i.WerfImageName},
			{"FINAL", fmt.Sprint(i.Final)},
		} {
			fmt.Fprintf(&b, "%s%s=%s\n", variable, v.name, shellQuote(v.value))
		}
	}
	return b.Bytes()
}

var plainValue = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]*$`)

// shellQuote quotes what a shell would not take as it is, and nothing else: some
// readers of such files do not know quotes. Only a layout's path can need any.
func shellQuote(value string) string {
	if plainValue.MatchString(value) {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// parseEnvReport reads what envReport wrote for the images.
func parseEnvReport(text []byte, images []*planner.Image) *BuildReport {
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		// Values that are quoted are no part of what is read below.
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[name] = value
		}
	}
	doc := &BuildReport{Images: map[string]ReportedImage{}}
	for _, image := range images {
		variable := reportVariable(image.Name)
		if tag := values[variable+"DOCKER_TAG"]; tag != "" && values[variable+"WERF_IMAGE_NAME"] == image.Name {
			doc.Images[image.Name] = ReportedImage{DockerTag: tag, DockerImageDigest: values[variable+"DOCKER_IMAGE_DIGEST"]}
		}
	}
	return doc
}
