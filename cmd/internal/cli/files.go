package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"dfs/cmd/internal/config"
)

// filesFlag, before a directory and alone, has a command write there what a package ships besides the program:
//
//	man/NAME.SECTION           a manual page for it and for each subcommand
//	bash/NAME zsh/_NAME fish/NAME.fish  completions
//	NAME.yaml                  a sample for --config, if it has that
//
// All of it comes from what --help shows. No help names this flag: it is for whoever builds packages.
const filesFlag = "--help-files"

// Annotations of a root command.
const (
	Section = "section"  // of its manual page; default 1
	SeeAlso = "see-also" // what the page refers to, as in "dfs(1), mount(8)"
)

func writeFiles(root *cobra.Command, dir string) error {
	root.DisableAutoGenTag = true
	if err := writeManuals(root, filepath.Join(dir, "man")); err != nil {
		return err
	}
	name := root.Name()
	for file, write := range map[string]func(*bytes.Buffer) error{
		"bash/" + name:           func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) },
		"zsh/_" + name:           func(b *bytes.Buffer) error { return root.GenZshCompletion(b) },
		"fish/" + name + ".fish": func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) },
		name + ".yaml":           func(b *bytes.Buffer) error { return config.Sample(b, name, root.Flags()) },
	} {
		if root.Flags().Lookup("config") == nil && filepath.Ext(file) == ".yaml" {
			continue
		}
		text := &bytes.Buffer{}
		if err := write(text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := writeFile(filepath.Join(dir, file), text.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func writeManuals(cmd *cobra.Command, dir string) error {
	page := manual(cmd)
	if err := writeFile(filepath.Join(dir, pageName(cmd)+"."+section(cmd)), []byte(page)); err != nil {
		return err
	}
	for _, c := range cmd.Commands() {
		if !shown(c) {
			continue
		}
		if err := writeManuals(c, dir); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
