// Command dfsmount mounts the filesystem of a dfs cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"dfs/cluster"
	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
	"dfs/cmd/internal/version"
)

func main() {
	if isEchoHelper(os.Args[0]) {
		os.Exit(echoHelper())
	}
	if isHelper(os.Args[0]) {
		h := &helper{}
		os.Exit(h.exitCode(cli.Main(h.command(os.Environ()), os.Args[1:], os.Stdout, os.Stderr)))
	}
	os.Exit(cli.Main(command(os.Args[1:], os.Environ()), os.Args[1:], os.Stdout, os.Stderr))
}

// mounter is one invocation.
type mounter struct {
	config.Mount
	fuse   fuseOptions
	ready  ready
	sloppy bool // unknown mount options are ignored
	fake   bool // nothing is mounted
	args   []string
	env    []string
}

func command(args, env []string) *cobra.Command { return newCommand(&mounter{args: args, env: env}) }

func newCommand(m *mounter) *cobra.Command {
	cmd := &cobra.Command{
		Use:         "dfsmount [NODES] DIRECTORY [flags]",
		Short:       "Mount the filesystem of a dfs cluster",
		Long:        long,
		Example:     examples,
		Version:     version.String(),
		Args:        cli.Args(oneOrTwo),
		Annotations: map[string]string{cli.Section: "8", cli.SeeAlso: "mount.dfs(8), dfsnode(8), dfs(1), umount(8)"},
		RunE:        m.run,
	}
	m.Register(cmd.Flags())
	cmd.Flags().IntVar(&m.ready.fd, readyFlag, 0, "")
	m.acceptMountHelperFlags(cmd)
	for _, hidden := range []string{readyFlag, "no-mtab", "sloppy", "verbose", "type"} {
		cmd.Flags().Lookup(hidden).Hidden = true
	}
	return cmd
}

// oneOrTwo is about the arguments: nodes, which may be left out, and a directory.
func oneOrTwo(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return errors.New("name the directory to mount on")
	case 1, 2:
		return nil
	}
	return fmt.Errorf("nodes and a directory are wanted, not %d arguments", len(args))
}

// acceptMountHelperFlags declares what mount(8) gives to the helper of a filesystem type, and what means nothing here.
func (m *mounter) acceptMountHelperFlags(cmd *cobra.Command) {
	cmd.Flags().BoolP("no-mtab", "n", false, "")
	cmd.Flags().BoolVarP(&m.sloppy, "sloppy", "s", false, "")
	cmd.Flags().Bool("verbose", false, "")
	cmd.Flags().StringP("type", "t", "", "")
}

func (m *mounter) run(cmd *cobra.Command, args []string) error {
	if err := m.configure(cmd, args); err != nil {
		return err
	}
	if m.fake {
		return checkMountPoint(m.Dir)
	}
	if !m.Foreground && m.ready.fd == 0 {
		return m.background(cmd.Context())
	}
	err := m.serve(cmd.Context(), m.Log.New(cmd.ErrOrStderr()))
	m.ready.report(err)
	return err
}

func (m *mounter) configure(cmd *cobra.Command, args []string) (err error) {
	if m.Dir, err = filepath.Abs(args[len(args)-1]); err != nil {
		return fmt.Errorf("mount point: %w", err)
	}
	if len(args) == 2 {
		m.Hosts = args[0]
	}
	if m.fuse, err = parseOptions(m.Options, cmd.Flags(), m.sloppy); err != nil {
		return err
	}
	if err := config.Load(cmd.Flags(), m.env); err != nil {
		return err
	}
	if _, err := cluster.ParseAddrs(m.Hosts, cluster.PortRPC); err != nil {
		return fmt.Errorf("%w: %v", config.ErrUsage, err)
	}
	if m.Inotify && (os.Geteuid() != 0 || m.ReadOnly || m.fuse.readOnly) {
		return fmt.Errorf("%w: --inotify: only for root, and not on a read-only mount", config.ErrUsage)
	}
	return m.Validate()
}

// background starts the process that will serve the mount, and returns when the mount answers or has failed.
func (m *mounter) background(ctx context.Context) error {
	if err := checkMountPoint(m.Dir); err != nil { // before a log is made for it
		return err
	}
	logFile := m.LogFile
	if logFile == "" {
		var err error
		if logFile, err = defaultLogFile(m.Dir); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(logFile), 0o755); err != nil {
			return fmt.Errorf("log file: %w (choose another with --log-file)", err)
		}
	}
	// On top of the time for reaching the cluster: for what may hang elsewhere, such as a dead mount being replaced.
	const slack = 20 * time.Second
	if err := detach(ctx, m.args, logFile, m.ConnectTimeout+slack); err != nil {
		return err
	}
	if _, err := os.Stat(m.Dir); err != nil {
		return fmt.Errorf("mounted, but it does not answer: %w", err)
	}
	return nil
}
