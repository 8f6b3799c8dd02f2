package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"dfs/cmd/dfsmount/mount"
	"dfs/cmd/internal/config"
	"dfs/cmd/internal/pidfile"
	"dfs/cmd/internal/tracing"
	"dfs/cmd/internal/version"
	"dfs/fs"
	"dfs/fs/fusefs"
)

// Bounds of leaving.
const (
	busyMax  = 10 * time.Second // a mount in use is detached after so long
	flushMax = 40 * time.Second // what cannot be flushed by then is lost, and reported
)

// serve mounts, serves until umount or a signal, and leaves cleanly.
func (m *mounter) serve(ctx context.Context, log *slog.Logger) (err error) {
	faults, err := config.Failpoints(m.env)
	if err != nil {
		return err
	}
	if err := checkMountPoint(m.Dir); err != nil {
		return err
	}
	m.Trace.FromEnv(m.env)
	tracer, stopTraces, err := tracing.Open(m.Trace, m.Insecure, "dfsmount", version.String(), log)
	if err != nil {
		return err
	}
	defer stopTraces()
	client, err := mount.Open(ctx, m.Mount, mount.Deps{Version: version.String(), ReadOnly: m.fuse.readOnly,
		NoAtime: m.fuse.noAtime, NoDirAtime: m.fuse.noDirAtime, Faults: faults, Logger: log, Tracer: tracer})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushMax)
		defer cancel()
		err = errors.Join(err, client.Close(ctx), pidfile.Remove(m.PIDFile)) // the file last: until then there is a process to wait for
	}()
	server, err := fusefs.Mount(fusefs.Config{
		Dir: m.Dir, FS: client.FS, ReadOnly: client.FS.ReadOnly(), AllowOther: m.fuse.allowOther,
		NoPermissionChecks: !m.fuse.defaultPermissions, Suid: m.fuse.suid, Dev: m.fuse.dev, NoExec: m.fuse.noExec,
		NoAtime: m.fuse.noAtime, NoDirAtime: m.fuse.noDirAtime,
		Echo: m.echo(client), StatusFiles: m.statusFiles(client), FsName: client.Source, Tracer: tracer, Debug: m.Debug, Logger: log,
	})
	if err != nil {
		return err
	}
	client.CountBy(func() fs.Activity {
		stats := server.Stats()
		return stats.Activity()
	})
	stopMetrics, err := m.serveMetrics(ctx, server.Stats, log)
	if err != nil {
		return errors.Join(err, unmount(ctx, server))
	}
	defer func() { err = errors.Join(err, stopMetrics()) }()
	if err := pidfile.Write(m.PIDFile); err != nil {
		return errors.Join(err, unmount(ctx, server))
	}
	log.Info("mounted", "dir", m.Dir, "nodes", client.Source, "version", version.String())
	m.ready.report(nil)
	select {
	case <-server.Done():
		log.Info("unmounted")
		return nil
	case <-ctx.Done():
		log.Info("unmounting on a signal; files in use hold it up", "patience", busyMax)
		return unmount(ctx, server)
	}
}

func unmount(ctx context.Context, server *fusefs.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), busyMax)
	defer cancel()
	return server.Unmount(ctx)
}

// checkMountPoint says early, before a cluster is looked for, what would not work in the end. Anything but a plain
// answer is left to fusefs, which knows dead mounts.
func checkMountPoint(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("mount point %s does not exist: make it with mkdir", dir)
	case err == nil && !info.IsDir():
		return fmt.Errorf("mount point %s is not a directory", dir)
	}
	return nil
}
