package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"slipway/cmd/internal/pipeline"

	"github.com/spf13/cobra"
)

func helmCommand() *cobra.Command {
	helm := &cobra.Command{Use: "helm", Short: "Work on the project's chart"}
	secret := &cobra.Command{Use: "secret", Short: "Encrypt, decrypt and edit the secrets of a chart",
		Long: `Encrypt, decrypt and edit the secrets of a chart, in the format of werf 2.
The key is in $WERF_SECRET_KEY, else in .werf_secret_key in the project, else in ~/.werf/global_secret_key.`}
	file := &cobra.Command{Use: "file", Short: "Secret files: .helm/secret/…, encrypted as a whole"}
	values := &cobra.Command{Use: "values", Short: "Files of secret values: .helm/secret-values.yaml, each value encrypted on its own"}
	file.AddCommand(secretFileCommand(false, false), secretFileCommand(true, false), secretEditCommand(false))
	values.AddCommand(secretFileCommand(false, true), secretFileCommand(true, true), secretEditCommand(true))
	secret.AddCommand(secretKeyCommand(), secretEncryptCommand(), secretDecryptCommand(), file, values, secretRotateCommand())
	helm.AddCommand(secret)
	return helm
}

// secretFlags are what the commands with a key take.
type secretFlags struct {
	*flags
	pipeline.SecretOptions
	output string
}

func newSecretFlags(cmd *cobra.Command) *secretFlags {
	f := &secretFlags{flags: newFlags(cmd)}
	f.str(&f.Dir, "dir", "The project's directory, where .werf_secret_key is looked for (default: the current one)")
	return f.home()
}

func (f *secretFlags) home() *secretFlags {
	f.StringVar(&f.Home, "home-dir", "", "The directory where global_secret_key is looked for (default: ~/.werf)")
	f.reads("home-dir", "WERF_HOME")
	return f
}

func (f *secretFlags) writes() *secretFlags {
	f.StringVarP(&f.output, "output-file-path", "o", "", "Write to this file instead of standard output")
	return f
}

// options adds the key of the environment.
func (f *secretFlags) options() pipeline.SecretOptions {
	f.Key = os.Getenv("WERF_SECRET_KEY")
	return f.SecretOptions
}

func secretKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "generate-secret-key", Short: "Print a new random key", Args: cobra.NoArgs,
		Example: "  slipway helm secret generate-secret-key > .werf_secret_key",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), pipeline.GenerateSecretKey())
			return err
		},
	}
}

func secretEncryptCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "encrypt", Short: "Encrypt standard input, or what is typed", Args: cobra.NoArgs,
		Example: "  date | slipway helm secret encrypt -o .helm/secret/date",
	}
	f := newSecretFlags(cmd).writes()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return f.run(cmd, pipeline.EncryptSecret, "Enter secret: ", pipeline.SecretText{}, encryptedMode)
	}
	return cmd
}

func secretDecryptCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "decrypt", Short: "Decrypt standard input, or what is typed", Args: cobra.NoArgs,
		Example: "  slipway helm secret decrypt < .helm/secret/date",
	}
	f := newSecretFlags(cmd).writes()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return f.run(cmd, pipeline.DecryptSecret, "Enter encrypted secret: ", pipeline.SecretText{}, plainMode)
	}
	return cmd
}

// secretFileCommand is encrypt or decrypt, of a file of values or of another.
func secretFileCommand(decrypts, values bool) *cobra.Command {
	what := "a file"
	if values {
		what = "the values of a YAML file"
	}
	cmd := &cobra.Command{Use: "encrypt [FILE]", Short: "Encrypt " + what + ", or standard input", Args: cobra.MaximumNArgs(1)}
	transform, mode := pipeline.EncryptSecret, encryptedMode
	if decrypts {
		cmd.Use, cmd.Short = "decrypt [FILE]", "Decrypt "+what+", or standard input"
		transform, mode = pipeline.DecryptSecret, plainMode
	}
	f := newSecretFlags(cmd).writes()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text := pipeline.SecretText{Values: values}
		if len(args) > 0 {
			text.Name = args[0]
		}
		return f.run(cmd, transform, "", text, mode)
	}
	return cmd
}

func secretEditCommand(values bool) *cobra.Command {
	cmd := &cobra.Command{
		Use: "edit FILE", Short: "Edit or create an encrypted file with $EDITOR", Args: cobra.ExactArgs(1),
		Long: `Edit or create an encrypted file with $EDITOR (else vim, vi or nano).
The plaintext is in a private temporary directory while the editor runs and removed however it ends.`,
	}
	if values {
		cmd.Long += "\nValues that are not changed keep their encrypted text."
	}
	f := newSecretFlags(cmd)
	e := pipeline.EditOptions{Values: values}
	f.str(&e.TempDir, "tmp-dir", "The directory for the plaintext while it is edited (default: the system's)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		// Held until the plaintext is gone: no signal that can be caught ends the
		// process before.
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
		defer stop()
		e.File, e.Editor, e.Again = args[0], os.Getenv("EDITOR"), editAgain(ctx)
		return pipeline.EditSecret(ctx, f.options(), e)
	}
	return cmd
}

func secretRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rotate-secret-key [FILE…]", Short: "Encrypt all secrets of the chart with another key",
		Long: `Encrypt with the key what $WERF_OLD_SECRET_KEY decrypts: secret-values.yaml of the project's chart, all files below its directory secret, and the given files of values.
The files are changed in the work tree, and their names printed. What has the new key already stays as it is.`,
	}
	var r runFlags
	f := (&secretFlags{flags: newFlags(cmd)}).home()
	r.source(f.flags)
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		o, err := r.options(nil)
		if err != nil {
			return err
		}
		changed, err := pipeline.RotateSecrets(cmd.Context(), pipeline.RotateOptions{
			Project: o.Project, Secret: f.options(), OldKey: os.Getenv("WERF_OLD_SECRET_KEY"), Files: files,
		})
		for _, name := range changed {
			fmt.Fprintln(cmd.OutOrStdout(), name)
		}
		return err
	}
	return cmd
}
