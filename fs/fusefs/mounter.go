package fusefs

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"dfs/fs"

	"golang.org/x/sys/unix"
)

// mounter is a way to mount and unmount: directly as root, with fusermount3's help as somebody else.
type mounter interface {
	// mount returns the descriptor of a fresh connection that is mounted at dir. It is close-on-exec.
	mount(dir string, cfg *Config) (int, error)
	// unmount takes away what is mounted at dir; lazily, that is now from the tree and later from those who use it.
	// The error is EBUSY (fs.ErrBusy) while it is in use.
	unmount(dir string, lazy bool) error
}

func newMounter() mounter {
	if os.Geteuid() == 0 {
		return direct{}
	}
	return helper{}
}

// direct mounts by mount(2), which takes CAP_SYS_ADMIN.
type direct struct{}

func (direct) mount(dir string, cfg *Config) (int, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, deviceError(err)
	}
	data := strings.Join(append([]string{
		fmt.Sprintf("fd=%d", fd),
		"rootmode=40000",
		fmt.Sprintf("user_id=%d", os.Geteuid()),
		fmt.Sprintf("group_id=%d", os.Getegid()),
	}, cfg.kernelOptions()...), ",")
	if err := unix.Mount(cfg.FsName, dir, "fuse."+cfg.Subtype, cfg.mountFlags(), data); err != nil {
		return -1, errors.Join(mountError(dir, err), unix.Close(fd))
	}
	return fd, nil
}

func (direct) unmount(dir string, lazy bool) error {
	flags := unix.UMOUNT_NOFOLLOW
	if lazy {
		flags |= unix.MNT_DETACH
	}
	err := unix.Unmount(dir, flags)
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("unmount %s: %w", dir, fs.ErrBusy)
	case err != nil:
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

// kernelOptions are the options that the kernel's FUSE parses, besides those that say who mounts.
func (c *Config) kernelOptions() []string {
	o := []string{fmt.Sprintf("max_read=%d", c.MaxWrite)}
	if !c.NoPermissionChecks {
		o = append(o, "default_permissions")
	}
	if c.AllowOther {
		o = append(o, "allow_other")
	}
	return o
}

func (c *Config) mountFlags() uintptr {
	var flags uintptr
	for _, o := range []struct {
		on   bool
		flag uintptr
	}{
		{c.ReadOnly, unix.MS_RDONLY},
		{!c.Suid, unix.MS_NOSUID},
		{!c.Dev, unix.MS_NODEV},
		{c.NoExec, unix.MS_NOEXEC},
		{c.NoAtime, unix.MS_NOATIME},
		{c.NoDirAtime, unix.MS_NODIRATIME},
	} {
		if o.on {
			flags |= o.flag
		}
	}
	return flags
}

func deviceError(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("there is no /dev/fuse (load the module: modprobe fuse; give it to the container: --device /dev/fuse): %w", fs.ErrNotSupported)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("may not open /dev/fuse (a container needs --device /dev/fuse --cap-add SYS_ADMIN): %w", fs.ErrPermission)
	}
	return fmt.Errorf("open /dev/fuse: %w", err)
}

func mountError(dir string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("may not mount on %s (a container needs --cap-add SYS_ADMIN): %w", dir, fs.ErrPermission)
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("the kernel has no FUSE (modprobe fuse): %w", fs.ErrNotSupported)
	}
	return fmt.Errorf("mount on %s: %w", dir, err)
}
