package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestManual_TakesNothingInAHelpTextForMarkup(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "0")
	cmd := &cobra.Command{Use: "x", Short: "Do", Example: "  x -v", Run: func(*cobra.Command, []string) {},
		Long: ".dot and 'quote' and back\\slash\n'quoted\n\nsecond _it_ <x>…\n\n    a\tb\n\n    -c\nafter"}
	cmd.Flags().StringP("name", "n", "d", "its `WORD`")
	dir, out := t.TempDir(), &bytes.Buffer{}
	if code := Main(cmd, []string{"--help-files", dir}, out, out); code != ExitOK {
		t.Fatal(out)
	}
	page, err := os.ReadFile(filepath.Join(dir, "man", "x.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		".TH \"X\" 1 1970-01-01 ", "\n.SH NAME\nx \\- Do\n", "\n\\&.dot and 'quote' and back\\eslash\n\\&'quoted\n.PP\nsecond _it_ <x>\\[u2026]\n",
		"\n.PP\n.nf\n    a\tb\n\n    \\-c\n.fi\nafter\n", "\n.TP\n\\fB\\-n\\fP, \\fB\\-\\-name\\fP \\fIWORD\\fP\nits WORD (default d)\n",
		"\n.SH EXAMPLES\n.nf\n  x \\-v\n.fi\n",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
}
