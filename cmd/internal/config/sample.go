package config

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Sample writes a file for --config that changes nothing: every option, explained as --help does, commented out and with
// its default, in the order in which they were declared.
func Sample(w io.Writer, command string, flags *pflag.FlagSet) error {
	out := &strings.Builder{}
	fmt.Fprintf(out, "# Options of %s(8), as they are by default. Flags and DFS_* in the environment are stronger than this file.\n", command)
	sorted := flags.SortFlags
	flags.SortFlags = false
	defer func() { flags.SortFlags = sorted }()
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "config" || f.Name == "help" || f.Name == "version" || err != nil {
			return
		}
		var value string
		if value, err = sampleValue(f); err == nil {
			_, usage := pflag.UnquoteUsage(f)
			fmt.Fprintf(out, "\n# %s\n#%s: %s\n", usage, f.Name, value)
		}
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, out.String())
	return err
}

func sampleValue(f *pflag.Flag) (string, error) {
	if f.Value.Type() != "string" {
		return f.DefValue, nil
	}
	text, err := yaml.Marshal(f.DefValue)
	return strings.TrimSuffix(string(text), "\n"), err
}
