package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dfs/cmd/internal/cli"
)

// asHelper runs mount.dfs -f, which mounts nothing.
func asHelper(t *testing.T, args ...string) (h *helper, code int, said string) {
	t.Helper()
	h = &helper{}
	out := &bytes.Buffer{}
	code = h.exitCode(cli.Main(h.command(nil), append([]string{"-f"}, args...), out, out))
	return h, code, out.String()
}

func TestHelper_UnderstandsWhatMountSays(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"a,b", dir, "-o", "ro,allow_other,tls_dir=/x,log_level=debug"},
		{"a,b", dir, "-n", "-v", "-s", "-o", "ro,allow_other,tls-dir=/x,log-level=debug,nosuch", "-t", "dfs"},
		{"-o", "ro,_netdev,nofail,noauto,user,user=joe,x-systemd.automount,X-mount.mkdir", "-o", "allow_other,tls_dir=/x,log_level=debug", "a,b", dir},
	} {
		h, code, said := asHelper(t, args...)
		if code != 0 {
			t.Errorf("%q: exit code %d: %s", args, code, said)
			continue
		}
		m := h.mounter
		if m.Hosts != "a,b" || m.Dir != dir || !m.fuse.readOnly || !m.fuse.allowOther || m.TLS.Dir != "/x" || m.Log.Level != "debug" || m.Foreground {
			t.Errorf("%q: %+v %+v", args, m.Mount, m.fuse)
		}
	}
}

func TestHelper_RefusesByMountsExitCodes(t *testing.T) {
	dir := t.TempDir()
	for says, args := range map[string][]string{
		"nosuch":            {"a", dir, "-o", "nosuch"},
		"umount it":         {"a", dir, "-o", "remount,ro"},
		"nodes and":         {dir},
		"dirty-max=lots":    {"a", dir, "-s", "-o", "dirty-max=lots"},
		"--insecure":        {"a", dir, "-o", "insecure,tls_dir=/x"},
		"needs a value":     {"a", dir, "-o", "zone"},
		"unknown shorthand": {"a", dir, "-x"},
	} {
		if _, code, said := asHelper(t, args...); code != exitUsage || !strings.Contains(said, says) {
			t.Errorf("%q: exit code %d: %s", args, code, said)
		}
	}
	if _, code, said := asHelper(t, "a", filepath.Join(dir, "x")); code != exitMount || !strings.Contains(said, "does not exist") {
		t.Errorf("exit code %d: %s", code, said)
	}
	for err, want := range map[error]int{errInterrupted: exitInterrupted, fmt.Errorf("x: %w", errNoProcess): exitSystem, errors.New("x"): exitMount} {
		if got := (&helper{err: err}).exitCode(cli.ExitFailed); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

func TestHelper_PassesOnEveryCharacterOfAnOption(t *testing.T) {
	h := &helper{options: []string{`ro,zone=a "b"`}}
	args, err := h.translate([]string{"a", "/x"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := parse(t, nil, args...)
	if err != nil || m.Zone != `a "b"` || !m.fuse.readOnly {
		t.Errorf("%q: %q %v", args, m.Zone, err)
	}
}

func TestProgramsName_DecidesWhetherItIsTheHelper(t *testing.T) {
	for _, name := range []string{"mount.dfs", "/sbin/mount.dfs", "/usr/sbin/mount.fuse.dfs"} {
		if !isHelper(name) {
			t.Error(name)
		}
	}
	if isHelper("/usr/bin/dfsmount") {
		t.Error("dfsmount")
	}
}

func TestIgnoredOptions_AreNoFlagsToo(t *testing.T) {
	m := &mounter{}
	flags := newCommand(m).Flags()
	for _, name := range ignored {
		if isOption(flags, name) {
			t.Errorf("%s is ignored and is a flag", name)
		}
	}
	if !slices.Contains(ignored, "_netdev") {
		t.Error("_netdev")
	}
}
