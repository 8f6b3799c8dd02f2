package config

import (
	"bytes"
	"errors"
	"reflect"
	"regexp"
	"testing"

	"github.com/spf13/pflag"
)

// sample is a node's sample file, as it is and with every option uncommented.
func sample(t *testing.T) (commented, said string) {
	t.Helper()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(Node).Register(flags)
	out := &bytes.Buffer{}
	if err := Sample(out, "dfsnode", flags); err != nil {
		t.Fatal(err)
	}
	return out.String(), regexp.MustCompile(`(?m)^#([a-z])`).ReplaceAllString(out.String(), "$1")
}

func TestSample_IsTheDefaults(t *testing.T) {
	want, err := load(t, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	commented, said := sample(t)
	for name, file := range map[string]string{"commented": commented, "said": said} {
		got, err := load(t, nil, nil, file)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, file)
		}
		got.File = ""
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

func TestSample_HoldsEveryOption(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(Node).Register(flags)
	commented, said := sample(t)
	for _, name := range flagNames(flags) {
		line := regexp.MustCompile(`(?m)^#` + name + `: \S`)
		if name != "config" && (!line.MatchString(commented) || line.MatchString(said)) {
			t.Errorf("%s is missing:\n%s", name, commented)
		}
	}
}

func TestFileThatSaysNothingOfACluster_FormsNone(t *testing.T) {
	commented, _ := sample(t)
	n, err := load(t, nil, nil, commented)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Validate(); !errors.Is(err, ErrUsage) || n.BootstrapExpect != 0 {
		t.Errorf("bootstrap-expect %d, %v", n.BootstrapExpect, err)
	}
	for _, file := range []string{"bootstrap-expect: 1\n", "join: a\n", "join: a,b\nbootstrap-expect: 3\n"} {
		if n, err = load(t, nil, nil, file); err != nil {
			t.Fatal(err)
		}
		if err := n.Validate(); err != nil {
			t.Errorf("%q: %v", file, err)
		}
	}
}

func TestStateDirectory_IsTheDefaultUnderAServiceManager(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "/state/dfs:/state/other")
	if got := DefaultDir(); got != "/state/dfs" {
		t.Errorf("got %s", got)
	}
}
