package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// mount(8) has no helper for the type fuse.dfs unless one is installed as /sbin/mount.fuse.dfs, as our packages do; it then asks mount.fuse,
// which runs a program named like the subtype: "dfs NODES DIRECTORY -o OPTIONS". That is this program, but the caller
// means dfsmount.

// isMountCall reports whether args are those of mount.fuse rather than a subcommand.
func isMountCall(root *cobra.Command, args []string) bool {
	if len(args) < 2 || strings.HasPrefix(args[0], "-") || !filepath.IsAbs(args[1]) {
		return false
	}
	for _, c := range root.Commands() {
		if c.Name() == args[0] || c.HasAlias(args[0]) {
			return false
		}
	}
	return args[0] != "help" && args[0] != "completion" && !strings.HasPrefix(args[0], "__complete")
}

// execMount becomes the dfsmount that lies beside this program, or in PATH; it returns only if there is none.
func execMount(args []string) error {
	path, err := exec.LookPath("dfsmount")
	if self, selfErr := os.Executable(); selfErr == nil {
		beside := filepath.Join(filepath.Dir(self), "dfsmount")
		if _, statErr := os.Stat(beside); statErr == nil {
			path, err = beside, nil
		}
	}
	if err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return syscall.Exec(path, append([]string{"dfsmount"}, args...), os.Environ())
}
