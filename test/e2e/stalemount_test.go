package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"dfs/cmd/dfsmount/mount"
	"dfs/fs"
	"dfs/fs/fusefs"
)

// staleEnv makes this program a mount whose kernel is not told what is taken back from it: what a torture must find. Its
// arguments are dfsmount's.
const staleEnv = "E2E_STALE_MOUNT"

func staleMain(args []string) int {
	if err := staleMount(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func staleMount(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var cfg mount.Config
	flags := pflag.NewFlagSet("stale", pflag.ContinueOnError)
	cfg.Register(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg.Hosts, cfg.Dir = flags.Arg(0), flags.Arg(1)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	client, err := mount.Open(ctx, cfg, mount.Deps{Version: "stale", Logger: log})
	if err != nil {
		return err
	}
	server, err := fusefs.Mount(fusefs.Config{Dir: cfg.Dir, FS: client.FS, Logger: log})
	if err == nil {
		client.FS.SetKernel(untold{})
		select {
		case <-server.Done():
		case <-ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, client.Close(ctx))
}

// untold is a kernel that is not told what is taken back.
type untold struct{}

func (untold) DropNames()       {}
func (untold) DropAttr(fs.Ino)  {}
func (untold) DropPages(fs.Ino) {}
