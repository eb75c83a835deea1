package main

import (
	"errors"

	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func publishCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "publish [IMAGE…]",
		Short:   "Publish the project's chart together with its images",
		Long:    "Publish the project's chart (.helm) as REPO:TAG, with the images that it names, building what is missing. With images, the chart gets only those named. Helm and everything that reads charts from a registry can use it as it is.",
		Example: "  slipway bundle publish --repo example.org/bundles/mybundle --tag 1.2.3",
	}
	f := newFlags(cmd)
	var r runFlags
	p := pipeline.PublishOptions{Tag: "latest"}
	var annotations, labels []string
	helmName := true
	r.project(f)
	r.running(f)
	r.trusts(f)
	r.saves(f)
	r.uses(f)
	f.noEffectSwitch(noChartRepos, "skip-dependencies-repo-refresh", "L")
	f.finalOnly(&r, true)
	f.customTags(&p.CustomTags)
	f.str(&p.UseTag, "use-custom-tag", "Name the images in the chart by this tag, as --add-custom-tag has it, instead of their keys; it moves, so werf-giterminism.yaml has to allow it (cli.allowCustomTags)")
	f.boolean(&r.Project.NoImages, "without-images", "", "Publish the chart alone; it gets no images")
	valuesFlags(f, &p.Values)
	f.boolean(&p.NoSchema, "no-values-schema-validation", "", "Publish values that do not match the chart's values.schema.json: the rest is given at installation")
	f.boolean(&p.AllFiles, "bundle-schema-nonstrict", "", "Publish every file of the chart's directory, not only charts, templates, crds, files and the files that charts have")
	f.list(&annotations, "add-annotation", "WERF_ADD_ANNOTATION", "Have NAME=VALUE added to the annotations of every resource when the bundle is installed; repeatable")
	f.list(&labels, "add-label", "WERF_ADD_LABEL", "Have NAME=VALUE added to the labels of every resource when the bundle is installed; repeatable")
	f.str(&p.Rename, "rename-chart", "Publish the chart under this name")
	f.boolean(&helmName, "helm-compatible-chart", "C", "Name the chart as the last part of the repository, where Helm looks for it; else it keeps its name")
	f.str(&p.Tag, "tag", "Publish the bundle under this tag; a version becomes the chart's version")
	cmd.RunE = func(cmd *cobra.Command, images []string) error {
		o, err := r.options(images)
		if err != nil {
			return err
		}
		if r.Project.NoImages && (len(images) > 0 || len(p.CustomTags) > 0 || p.UseTag != "") {
			return &usageError{errors.New("--without-images leaves nothing to name: leave out the images and their tags")}
		}
		p.KeepName = !helmName
		if p.Annotations, err = parsePairs("add-annotation", annotations, ""); err != nil {
			return err
		}
		if p.Labels, err = parsePairs("add-label", labels, ""); err != nil {
			return err
		}
		return r.show(cmd, func(o pipeline.Options) (*pipeline.Report, error) {
			return pipeline.Publish(cmd.Context(), o, p)
		}, o)
	}
	return cmd
}

// valuesFlags adds the flags that give values over those of the chart.
func valuesFlags(f *flags, v *pipeline.ValuesOptions) {
	f.list(&v.Files, "values", "WERF_VALUES", "Lay the values of this YAML file over the chart's; a relative path is read from the commit; repeatable")
	f.list(&v.Set, "set", "WERF_SET", "Set values, KEY=VALUE[,KEY=VALUE], as Helm does; repeatable")
	f.list(&v.SetString, "set-string", "WERF_SET_STRING", "Set values that are strings, KEY=VALUE[,KEY=VALUE]; repeatable")
	f.list(&v.SetFile, "set-file", "WERF_SET_FILE", "Set values to the content of files, KEY=PATH[,KEY=PATH]; repeatable")
	f.list(&v.SetJSON, "set-json", "WERF_SET_JSON", "Set values given as JSON, KEY=JSON; repeatable")
	f.list(&v.SetLiteral, "set-literal", "WERF_SET_LITERAL", "Set a value to a string in which nothing has a meaning, KEY=VALUE; repeatable")
	f.list(&v.SecretFiles, "secret-values", "WERF_SECRET_VALUES", "Publish the encrypted values of this YAML file with the chart's own (secret-values.yaml), encrypted as they are; repeatable")
	f.boolean(&v.NoDefaultSecrets, "disable-default-secret-values", "", "Leave out the chart's own secret-values.yaml")
	f.boolean(&v.NoDefaults, "disable-default-values", "", "Leave out the chart's own values.yaml")
}
