package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"dfs/cmd/internal/config"
)

// parse runs the command line up to the point where it would mount.
func parse(t *testing.T, env []string, args ...string) (*mounter, error) {
	t.Helper()
	m := &mounter{args: args, env: env}
	cmd := newCommand(m)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return m.configure(cmd, args) }
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	return m, cmd.Execute()
}

func TestMountHelperArguments_AreUnderstood(t *testing.T) {
	for _, args := range [][]string{
		{"a,b", "/mnt/x", "-o", "ro,allow_other"},             // mount.fuse
		{"a,b", "/mnt/x", "-n", "-s", "-o", "ro,allow_other"}, // mount(8)
		{"-o", "ro", "-o", "allow_other", "a,b", "/mnt/x", "-t", "fuse.dfs"},
		{"a,b", "/mnt/x", "-o", "rw,ro,noauto,_netdev,nofail,x-systemd.automount,comment=hi,allow_other,user,defaults"},
	} {
		m, err := parse(t, nil, args...)
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		if m.Hosts != "a,b" || m.Dir != "/mnt/x" || !m.fuse.readOnly || !m.fuse.allowOther || !m.fuse.defaultPermissions {
			t.Errorf("%q: %+v %+v", args, m.Mount, m.fuse)
		}
	}
}

func TestDirectoryAlone_IsThisMachinesCluster(t *testing.T) {
	m, err := parse(t, nil, "/mnt/x")
	if err != nil || m.Hosts != "" || m.Dir != "/mnt/x" {
		t.Errorf("%q %q %v", m.Hosts, m.Dir, err)
	}
}

func TestRelativeMountPoint_BecomesAbsolute(t *testing.T) {
	m, err := parse(t, nil, "x")
	if err != nil || !strings.HasPrefix(m.Dir, "/") || !strings.HasSuffix(m.Dir, "/x") {
		t.Errorf("%q %v", m.Dir, err)
	}
}

func TestEveryFlag_IsAMountOption(t *testing.T) {
	m, err := parse(t, nil, "/x", "-o", "insecure,read-policy=random,dirty_max=32MiB,log-file=/y")
	if err != nil {
		t.Fatal(err)
	}
	if !m.Insecure || m.ReadPolicy != "random" || m.DirtyMax != 32<<20 || m.LogFile != "/y" {
		t.Errorf("%+v", m.Mount)
	}
}

func TestFlag_BeatsMountOptionBeatsEnvironment(t *testing.T) {
	env := []string{"DFS_READ_POLICY=random", "DFS_ZONE=env"}
	m, err := parse(t, env, "/x", "-o", "read-policy=weighted,zone=option", "--zone", "flag")
	if err != nil || m.ReadPolicy != "weighted" || m.Zone != "flag" {
		t.Errorf("%q %q %v", m.ReadPolicy, m.Zone, err)
	}
}

func TestKernelOptions_HaveSafeDefaults(t *testing.T) {
	m, err := parse(t, nil, "/x")
	if err != nil || m.fuse.suid || m.fuse.dev || m.fuse.noExec || m.fuse.allowOther || m.fuse.readOnly || !m.fuse.defaultPermissions {
		t.Errorf("%+v %v", m.fuse, err)
	}
	m, err = parse(t, nil, "/x", "-o", "suid,dev,noexec,no_default_permissions")
	if err != nil || !m.fuse.suid || !m.fuse.dev || !m.fuse.noExec || m.fuse.defaultPermissions {
		t.Errorf("%+v %v", m.fuse, err)
	}
	m, err = parse(t, nil, "/x", "-o", "suid,nosuid,dev,nodev,noexec,exec")
	if err != nil || m.fuse.suid || m.fuse.dev || m.fuse.noExec {
		t.Errorf("the last word does not win: %+v %v", m.fuse, err)
	}
}

func TestRubbishOption_IsAUsageErrorThatNamesIt(t *testing.T) {
	for _, option := range []string{"nosuch", "zone", "dirty-max=lots", "ready-fd=3", "options=ro", "config=/x", "remount"} {
		if _, err := parse(t, nil, "/x", "-o", option); !errors.Is(err, config.ErrUsage) || !strings.Contains(err.Error(), option) {
			t.Errorf("%s: got %v", option, err)
		}
	}
}

func TestLogFile_IsNamedForTheMountPoint(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/state")
	name, err := defaultLogFile("/mnt/a/b")
	if err != nil || !strings.HasSuffix(name, "/dfs/mount-mnt-a-b.log") {
		t.Errorf("%q %v", name, err)
	}
}

func TestAtimeOptions_SayWhatIsRecorded(t *testing.T) {
	for options, want := range map[string]fuseOptions{
		"rw": {}, "relatime": {}, "noatime": {noAtime: true}, "noatime,atime": {}, "noatime,relatime": {}, "nodiratime": {noDirAtime: true},
		"nodiratime,diratime": {}, "noatime,nodiratime,acl": {noAtime: true, noDirAtime: true},
	} {
		m, err := parse(t, nil, "/x", "-o", options)
		want.defaultPermissions = true
		if err != nil || m.fuse != want {
			t.Errorf("%s: %+v, %v", options, m.fuse, err)
		}
	}
	for _, option := range []string{"strictatime", "norelatime"} {
		if _, err := parse(t, nil, "/x", "-o", option); !errors.Is(err, config.ErrUsage) || !strings.Contains(err.Error(), "relatime is the default") {
			t.Errorf("%s: %v", option, err)
		}
	}
}
