#!/usr/bin/env bash
# Builds Slipway, makes a small project and publishes it, twice. Needs Go and git
# (and an OCI runtime for the RUN, which it installs where it may); no server, no
# image from anywhere. Everything is below bin/quickstart but the project's
# repository, which is where it always is without --repo: below the XDG state
# directory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PATH=$PATH:/usr/sbin:/sbin # Debian's place for runc

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

say "Building slipway"
.ci/deps runc
go tool task build
slipway=$PWD/bin/slipway

say "Making a project: one image with a RUN, and a chart that names it"
project=$PWD/bin/quickstart/project out=$PWD/bin/quickstart/out
rm -rf bin/quickstart
mkdir -p "$project/.helm/templates"
cp docs/examples/hello/hello.go.txt "$project/hello.go"
(cd "$project" && GO111MODULE=off CGO_ENABLED=0 GOOS=linux go build -trimpath -ldflags -s -o hello hello.go)
cat >"$project/werf.yaml" <<'EOF'
project: quickstart
configVersion: 1
---
image: hello
dockerfile: Dockerfile
EOF
cat >"$project/Dockerfile" <<'EOF'
FROM scratch
COPY hello /hello
RUN ["/hello", "build", "/built.txt"]
CMD ["/hello"]
EOF
cat >"$project/.helm/templates/hello.yaml" <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hello
spec:
  selector:
    matchLabels: {app: hello}
  template:
    metadata:
      labels: {app: hello}
    spec:
      containers:
        - name: hello
          image: {{ $.Values.werf.image.hello }}
EOF
cd "$project"
git init -q
git add -A
git -c user.name=quickstart -c user.email=quickstart@example.org commit -q -m "A project"
run ls -A

say "Publishing the image as oci:$out:latest and the bundle to the project's own repository"
run "$slipway" export hello --tag "oci:$out:latest"
run "$slipway" bundle publish

say "The same again: everything is found, nothing is built or written"
run "$slipway" export hello --tag "oci:$out:latest"
run "$slipway" bundle publish

say "What there is to look at"
run "$slipway" plan
cat <<EOF

The project:        $project
The exported image: $out, an OCI image layout (skopeo inspect oci:$out:latest)
The repository:     ${XDG_STATE_HOME:-$HOME/.local/state}/slipway/repos/quickstart, a layout too
Change a file in the project, commit it, and run either command again.
EOF
