package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// envPrefix starts the name of every environment variable that is an option.
const envPrefix = "DFS_"

// ErrUsage marks an error in what the user asked for, as opposed to a failure to do it.
var ErrUsage = errors.New("wrong usage")

// Load fills the flags that the command line left alone from env ("NAME=value" lines, as os.Environ) and then from the
// file that --config, or DFS_CONFIG, names. flags must have been parsed. All errors are ErrUsage and name the culprit.
func Load(flags *pflag.FlagSet, env []string) error {
	vars, err := environment(env, names())
	if err != nil {
		return err
	}
	for name, value := range vars {
		if err := fill(flags, name, value, "the environment variable "+EnvName(name)); err != nil {
			return err
		}
	}
	path := ""
	if f := flags.Lookup("config"); f != nil {
		path = f.Value.String()
	}
	if path == "" {
		return nil
	}
	keys, err := readFile(path)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if f := flags.Lookup(k.name); f == nil || k.name == "config" {
			return fmt.Errorf("%w: %s: unknown key %q%s", ErrUsage, path, k.name, suggest(k.name, flagNames(flags)))
		}
		if err := fill(flags, k.name, k.value, path+", key "+k.name); err != nil {
			return err
		}
	}
	return nil
}

// fill sets a flag unless something stronger has set it already.
func fill(flags *pflag.FlagSet, name, value, from string) error {
	f := flags.Lookup(name)
	if f == nil || f.Changed {
		return nil
	}
	if err := flags.Set(name, value); err != nil {
		return fmt.Errorf("%w: %s: %q: %v", ErrUsage, from, value, reason(err))
	}
	return nil
}

// reason strips pflag's own prefix, which speaks of a flag that the user has not given.
func reason(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// EnvName is the environment variable of an option.
func EnvName(option string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
}

// environment picks the options out of env and refuses what starts like one but is none.
func environment(env, known []string) (map[string]string, error) {
	vars := map[string]string{}
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, envPrefix) || name == failpointsEnv {
			continue
		}
		option := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "_", "-"))
		if !slices.Contains(known, option) {
			return nil, fmt.Errorf("%w: unknown environment variable %s%s", ErrUsage, name, suggest(name, envNames(known)))
		}
		vars[option] = value
	}
	return vars, nil
}

func envNames(options []string) []string {
	all := make([]string, 0, len(options))
	for _, option := range options {
		all = append(all, EnvName(option))
	}
	return all
}

// names lists the options of all commands.
func names() []string {
	var all []string
	for _, register := range []func(*pflag.FlagSet){new(Node).Register, new(Mount).Register, new(Admin).Register, new(Files).Register} {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		register(flags)
		all = append(all, flagNames(flags)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func flagNames(flags *pflag.FlagSet) []string {
	var all []string
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			all = append(all, f.Name)
		}
	})
	return all
}

// suggest names the known option that a misspelt one is closest to, if any is close.
func suggest(name string, known []string) string {
	best, least := "", min(4, (len(name)+1)/2)
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
