package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// load parses a node's options from everywhere.
func load(t *testing.T, args, env []string, file string) (*Node, error) {
	t.Helper()
	n := &Node{}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	n.Register(flags)
	if file != "" {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	return n, Load(flags, env)
}

func TestFlag_BeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	n, err := load(t, []string{"--zone", "flag"}, []string{"DFS_ZONE=env", "DFS_VOTERS=5", "HOME=/x"}, "zone: file\nvoters: 1\nname: file\n")
	if err != nil {
		t.Fatal(err)
	}
	if n.Zone != "flag" || n.Voters != 5 || n.Name != "file" || n.Replicas != 3 {
		t.Errorf("zone %q, voters %d, name %q, replicas %d", n.Zone, n.Voters, n.Name, n.Replicas)
	}
}

func TestFlagGivenItsDefault_StillBeatsTheOthers(t *testing.T) {
	n, err := load(t, []string{"--voters", "3"}, []string{"DFS_VOTERS=5"}, "voters: 1\n")
	if err != nil || n.Voters != 3 {
		t.Errorf("voters %d, %v", n.Voters, err)
	}
}

func TestFile_HoldsScalarsAndLists(t *testing.T) {
	n, err := load(t, nil, nil, "join: [a, 'b:1']\ninsecure: true\nreserve: 2GiB\nsession-timeout: 7s\n# a comment\n")
	if err != nil {
		t.Fatal(err)
	}
	if n.Join != "a,b:1" || !n.Insecure || n.Reserve != 2<<30 || n.SessionTimeout != 7*time.Second {
		t.Errorf("join %q, insecure %v, reserve %d, timeout %s", n.Join, n.Insecure, n.Reserve, n.SessionTimeout)
	}
}

func TestFileNamedByTheEnvironment_IsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	if err := os.WriteFile(path, []byte("zone: z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := load(t, nil, []string{"DFS_CONFIG=" + path}, "")
	if err != nil || n.Zone != "z" {
		t.Errorf("zone %q, %v", n.Zone, err)
	}
}

func TestWhatNobodyKnows_IsAnErrorThatNamesIt(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		file string
		says []string
	}{
		"variable":           {[]string{"DFS_ZONES=x"}, "", []string{"DFS_ZONES", `"DFS_ZONE"`}},
		"key":                {nil, "zones: x\n", []string{`"zones"`, `"zone"`}},
		"another's key":      {nil, "flush-age: 1s\n", []string{`"flush-age"`}},
		"config in the file": {nil, "config: x\n", []string{`"config"`}},
		"value in variable":  {[]string{"DFS_REPLICAS=x"}, "", []string{"DFS_REPLICAS", `"x"`}},
		"value in file":      {nil, "replicas: x\n", []string{"key replicas", `"x"`}},
		"nested value":       {nil, "zone: {a: b}\n", []string{"zone", "line 1"}},
		"key set twice":      {nil, "zone: a\nzone: b\n", []string{"zone"}},
		"no mapping":         {nil, "- zone\n", []string{"option: value"}},
		"no YAML":            {nil, "zone: [\n", []string{"config.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, nil, c.env, c.file)
			if !errors.Is(err, ErrUsage) {
				t.Fatalf("got %v, want a usage error", err)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %s", err, s)
				}
			}
		})
	}
}

func TestAnotherCommandsVariable_IsIgnored(t *testing.T) {
	if _, err := load(t, nil, []string{"DFS_FLUSH_AGE=1s", "DFS_ADDR=x"}, ""); err != nil {
		t.Error(err)
	}
}

func TestSuggestion_IsMadeOnlyForWhatIsClose(t *testing.T) {
	if got := suggest("votres", []string{"voters", "zone"}); !strings.Contains(got, "voters") {
		t.Errorf("got %q", got)
	}
	if got := suggest("x", []string{"dir", "zone"}); got != "" {
		t.Error(got)
	}
	if got := suggest("something", []string{"voters", "zone"}); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestNodeDefaults_AreAOneNodeCluster(t *testing.T) {
	n, err := load(t, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Validate(); err != nil {
		t.Fatal(err)
	}
	if n.BootstrapExpect != 1 || n.MinReplicas != 2 || n.Replicas != 3 {
		t.Errorf("expect %d, min-replicas %d of %d", n.BootstrapExpect, n.MinReplicas, n.Replicas)
	}
}

func TestMinReplicas_DefaultToAMajorityOfReplicas(t *testing.T) {
	for _, c := range []struct{ expect, replicas, given, want int }{{1, 3, 0, 2}, {3, 3, 0, 2}, {5, 5, 0, 3}, {3, 1, 0, 1}, {0, 3, 0, 2}, {1, 3, 1, 1}, {3, 3, 3, 3}} {
		n, err := load(t, []string{"--join", "a"}, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		n.BootstrapExpect, n.Replicas, n.MinReplicas = c.expect, c.replicas, c.given
		if err := n.Validate(); err != nil || n.MinReplicas != c.want {
			t.Errorf("expect %d, replicas %d: min-replicas %d, want %d; %v", c.expect, c.replicas, n.MinReplicas, c.want, err)
		}
	}
}

func TestValidate_RefusesWhatCannotWork(t *testing.T) {
	for _, args := range []string{"--dir=", "--bootstrap-expect=10 --join=a", "--bootstrap-expect=-1", "--bootstrap-expect=3", "--voters=2",
		"--replicas=0", "--replicas=2 --min-replicas=3", "--session-timeout=10ms", "--garbage-grace=-1s", "--sweep-interval=0s", "--placement=x",
		"--log-level=loud", "--log-format=xml"} {
		n, err := load(t, strings.Fields(args), nil, "")
		if err != nil {
			t.Fatal(err)
		}
		err = n.Validate()
		flag, _, _ := strings.Cut(strings.Fields(args)[0], "=")
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), flag) && !strings.Contains(args, "--min") {
			t.Errorf("%s: got %v", args, err)
		}
	}
}

func TestMountValidate_RefusesWhatCannotWork(t *testing.T) {
	for _, args := range []string{"--dirty-max=1MiB", "--flush-age=0s", "--connect-timeout=0s", "--op-timeout=1ms", "--write-policy=x", "--read-policy=x"} {
		m := &Mount{Dir: "/x"}
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		m.Register(flags)
		if err := m.Validate(); err != nil {
			t.Fatalf("defaults: %v", err)
		}
		if err := flags.Parse([]string{args}); err != nil {
			t.Fatal(err)
		}
		flag, _, _ := strings.Cut(args, "=")
		if err := m.Validate(); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: got %v", args, err)
		}
	}
}

func TestBytes_ReadWhatTheyWrite(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "512MiB": 512 << 20, "1GB": 1e9, "1048576": 1 << 20, "64 MiB": 64 << 20} {
		var b Bytes
		if err := b.Set(text); err != nil || b != want {
			t.Errorf("%s: got %d, %v", text, b, err)
		}
	}
	b := Bytes(64 << 20)
	if b.String() != "64MiB" {
		t.Errorf("got %s", b.String())
	}
}
