// Package clitest checks what the three commands ship besides their programs.
package clitest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dfs/cmd/internal/cli"
)

// CheckFiles has root write its files and checks that each command has a manual page, that the page knows every flag and
// subcommand, and that no formatter has anything to say against it.
func CheckFiles(t *testing.T, root *cobra.Command, section string) {
	t.Helper()
	dir, out := t.TempDir(), &bytes.Buffer{}
	if code := cli.Main(root, []string{"--help-files", dir}, out, out); code != cli.ExitOK {
		t.Fatalf("exit code %d: %s", code, out)
	}
	for _, name := range []string{"bash/" + root.Name(), "zsh/_" + root.Name(), "fish/" + root.Name() + ".fish"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("completion %s: %v", name, err)
		}
	}
	checkPage(t, root, filepath.Join(dir, "man"), section)
}

func checkPage(t *testing.T, cmd *cobra.Command, dir, section string) {
	t.Helper()
	path := filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+"."+section)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	page := strings.ReplaceAll(string(data), `\-`, "-")
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.AddFlagSet(cmd.NonInheritedFlags())
	flags.AddFlagSet(cmd.InheritedFlags())
	flags.VisitAll(func(f *pflag.Flag) {
		if has := strings.Contains(page, `\fB--`+f.Name+`\fP`); has == f.Hidden {
			t.Errorf("%s: --%s, hidden %v, is in the page: %v", cmd.CommandPath(), f.Name, f.Hidden, has)
		}
	})
	format(t, path)
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "completion" {
			continue
		}
		if !strings.Contains(page, strings.ReplaceAll(c.CommandPath(), " ", "-")+`\fP(`) {
			t.Errorf("%s does not name %s", cmd.CommandPath(), c.Name())
		}
		checkPage(t, c, dir, section)
	}
}

// format has the formatters that are installed read a page.
func format(t *testing.T, path string) {
	t.Helper()
	for _, argv := range [][]string{
		{"mandoc", "-T", "lint", "-W", "warning", path},
		{"groff", "-ww", "-z", "-man", "-T", "utf8", path},
	} {
		if _, err := exec.LookPath(argv[0]); err != nil {
			continue
		}
		cmd, said := exec.Command(argv[0], argv[1:]...), &bytes.Buffer{}
		cmd.Stderr = said
		if argv[0] == "mandoc" {
			cmd.Stdout = said
		}
		if err := cmd.Run(); err != nil || said.Len() > 0 {
			t.Errorf("%s: %v\n%s", argv[0], err, said)
		}
	}
}
