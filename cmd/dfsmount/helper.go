package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/version"
)

// helperNames are the names under which this program is what mount(8) runs for a filesystem type.
var helperNames = []string{"mount.dfs", "mount.fuse.dfs"}

// The exit codes that mount(8) names and that are not cli's.
const (
	exitUsage       = 1
	exitSystem      = 2
	exitInterrupted = 8
	exitMount       = 32
)

// helper is one invocation as mount.dfs.
type helper struct {
	mounter *mounter // made from the arguments

	options                       []string
	fake, sloppy, verbose, noMtab bool
	fsType                        string
	err                           error // of the mount
}

func isHelper(argv0 string) bool { return slices.Contains(helperNames, filepath.Base(argv0)) }

func (h *helper) command(env []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "mount.dfs NODES DIRECTORY [-fnsv] [-o OPTIONS]",
		Short:                 "Mount a dfs filesystem for mount(8) and /etc/fstab",
		Long:                  helperLong,
		Example:               helperExamples,
		Version:               version.String(),
		DisableFlagsInUseLine: true,
		Args:                  cli.Args(two),
		Annotations:           map[string]string{cli.Section: "8", cli.SeeAlso: "dfsmount(8), mount(8), fstab(5), systemd.mount(5), dfs(1)"},
		RunE: func(cmd *cobra.Command, args []string) error {
			h.err = h.run(cmd, env, args)
			return h.err
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&h.options, "options", "o", nil, "mount options, comma-separated")
	f.BoolVarP(&h.fake, "fake", "f", false, "check everything that can be checked without the cluster, and mount nothing")
	f.BoolVarP(&h.sloppy, "sloppy", "s", false, "ignore unknown mount options")
	f.BoolVarP(&h.verbose, "verbose", "v", false, "say what was mounted")
	f.BoolVarP(&h.noMtab, "no-mtab", "n", false, "accepted and ignored: there is no /etc/mtab to write")
	f.StringVarP(&h.fsType, "types", "t", "", "accepted and ignored: the type that mount(8) was told")
	return cmd
}

func two(_ *cobra.Command, args []string) error {
	if len(args) != 2 {
		return errors.New("nodes and a directory are wanted")
	}
	return nil
}

// run is dfsmount with the arguments that say the same.
func (h *helper) run(cmd *cobra.Command, env []string, args []string) error {
	translated, err := h.translate(args)
	if err != nil {
		return err
	}
	h.mounter = &mounter{args: translated, env: env, fake: h.fake}
	mount := newCommand(h.mounter)
	mount.SetArgs(translated)
	mount.SetOut(cmd.OutOrStdout())
	mount.SetErr(cmd.ErrOrStderr())
	mount.SilenceErrors, mount.SilenceUsage = true, true
	if err := mount.ExecuteContext(cmd.Context()); err != nil || h.fake || !h.verbose {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "mount.dfs: %s mounted on %s\n", args[0], h.mounter.Dir)
	return err
}

func (h *helper) translate(args []string) ([]string, error) {
	var all []string
	if h.sloppy {
		all = append(all, "--sloppy")
	}
	for _, o := range h.options {
		line := &strings.Builder{}
		w := csv.NewWriter(line) // --options is read as CSV, in which a quotation mark is more than itself
		if err := w.Write(strings.Split(o, ",")); err != nil {
			return nil, err
		}
		w.Flush()
		all = append(all, "--options="+strings.TrimSuffix(line.String(), "\n"))
	}
	return append(append(all, "--"), args...), nil
}

// exitCode is mount(8)'s for one of cli's.
func (h *helper) exitCode(code int) int {
	switch {
	case code == cli.ExitOK:
		return 0
	case code == cli.ExitUsage:
		return exitUsage
	case errors.Is(h.err, errInterrupted):
		return exitInterrupted
	case errors.Is(h.err, errNoProcess):
		return exitSystem
	}
	return exitMount
}
