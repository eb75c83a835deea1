package main

import (
	"os"
	"strings"
)

// cache adds the flags on layer caches.
func (r *runFlags) cache(f *flags) {
	r.Cache.Mode = "max"
	f.str(&r.Cache.Mode, "cache", "Keep the layers of steps in a registry, so that builds on other machines begin where this one ended: max (all), min (those of images only) or off")
	f.list(&r.Cache.Repos, "cache-repo", "WERF_CACHE_REPO", "Keep layer caches in this repository; repeatable (default: --repo, if it is in a registry)")
	r.Cache.Branch, r.Cache.Target, r.Cache.Main = first(branchVariables), first(targetVariables), first(mainVariables)
	if r.Cache.Target == "" && os.Getenv("DRONE_PULL_REQUEST") != "" {
		r.Cache.Target = first([]string{"DRONE_TARGET_BRANCH"}) // it is there without a request, too
	}
	if os.Getenv("CI_COMMIT_TAG") != "" || os.Getenv("GITHUB_REF_TYPE") == "tag" {
		r.Cache.Branch = "" // a tag is built once, and its cache would be found by nobody
	}
}

// Variables in which CI systems tell of branches, where git knows of none: what
// is checked out is a commit then. Those of merge requests come first, as the
// others may name the request itself.
var (
	branchVariables = []string{
		"GITHUB_HEAD_REF", "GITHUB_REF_NAME", // GitHub, Gitea, Forgejo
		"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME", // GitLab
		"CI_COMMIT_SOURCE_BRANCH", "CI_COMMIT_BRANCH", // Woodpecker
		"BITBUCKET_BRANCH",
		"SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCH", // Azure
		"CHANGE_BRANCH", "BRANCH_NAME", // Jenkins
		"BUILDKITE_BRANCH", "CIRCLE_BRANCH", "DRONE_SOURCE_BRANCH", "DRONE_BRANCH", "TRAVIS_PULL_REQUEST_BRANCH", "TRAVIS_BRANCH",
	}
	targetVariables = []string{
		"GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CI_COMMIT_TARGET_BRANCH", "BITBUCKET_PR_DESTINATION_BRANCH",
		"SYSTEM_PULLREQUEST_TARGETBRANCH", "CHANGE_TARGET", "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
	}
	mainVariables = []string{"CI_DEFAULT_BRANCH", "CI_REPO_DEFAULT_BRANCH", "BUILDKITE_PIPELINE_DEFAULT_BRANCH", "DRONE_REPO_BRANCH"}
)

// first is the value of the first of the variables that has one.
func first(variables []string) string {
	for _, name := range variables {
		if value := strings.TrimPrefix(os.Getenv(name), "refs/heads/"); value != "" {
			return value
		}
	}
	return ""
}
