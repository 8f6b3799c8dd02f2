package fusefs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"dfs/fs"

	"golang.org/x/sys/unix"
)

// helper mounts by the set-uid program fusermount3, which opens /dev/fuse, mounts, and passes the descriptor back over
// a socket.
type helper struct{}

func (helper) mount(dir string, cfg *Config) (int, error) {
	bin, err := fusermount()
	if err != nil {
		return -1, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket to %s: %w", bin, err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "fusermount"), os.NewFile(uintptr(pair[1]), "fusermount")
	defer ours.Close() // both carry one descriptor and nothing that could be lost
	defer theirs.Close()

	cmd := exec.Command(bin, "-o", strings.Join(cfg.helperOptions(), ","), "--", dir)
	cmd.ExtraFiles = []*os.File{theirs} // becomes descriptor 3
	cmd.Env = append(os.Environ(), "_FUSE_COMMFD=3")
	if err := run(cmd); err != nil {
		return -1, fmt.Errorf("mount on %s: %w", dir, helperError(err))
	}
	return receive(ours)
}

func (helper) unmount(dir string, lazy bool) error {
	bin, err := fusermount()
	if err != nil {
		return err
	}
	args := []string{"-u", "--", dir}
	if lazy {
		args = []string{"-u", "-z", "--", dir}
	}
	if err := run(exec.Command(bin, args...)); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, helperError(err))
	}
	return nil
}

func fusermount() (string, error) {
	for _, name := range []string{"fusermount3", "fusermount", "/bin/fusermount3", "/bin/fusermount"} {
		if bin, err := exec.LookPath(name); err == nil {
			return bin, nil
		}
	}
	return "", fmt.Errorf("only root mounts without fusermount3, which is not installed (package fuse3): %w", fs.ErrNotSupported)
}

// run runs cmd and returns what it complained about.
func run(cmd *exec.Cmd) error {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.TrimSpace(complaint.String()), err)
	}
	return nil
}

// helperError finds the sentinel in what fusermount3 prints, for it has one exit code for everything.
func helperError(err error) error {
	text := err.Error()
	for _, known := range []struct {
		text  string
		means error
	}{
		{"user_allow_other", fmt.Errorf("put user_allow_other into /etc/fuse.conf: %w", fs.ErrPermission)},
		{"not permitted", fs.ErrPermission},
		{"ermission denied", fs.ErrPermission},
		{"no write access", fs.ErrPermission},
		{"busy", fs.ErrBusy},
		{"device not found", fs.ErrNotSupported},
	} {
		if strings.Contains(text, known.text) {
			return fmt.Errorf("%w: %w", err, known.means)
		}
	}
	return err
}

// receive takes the descriptor that fusermount3 sends.
func receive(from *os.File) (int, error) {
	buf, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(from.Fd()), buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("receive the descriptor from fusermount: %w", err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		return -1, errors.Join(fmt.Errorf("fusermount sent no descriptor: %w", fs.ErrInternal), err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return -1, errors.Join(fmt.Errorf("fusermount sent no descriptor: %w", fs.ErrInternal), err)
	}
	return fds[0], nil
}

// helperOptions are the options of fusermount3, in which a comma is written "\,".
func (c *Config) helperOptions() []string {
	o := append(c.kernelOptions(), "fsname="+c.FsName, "subtype="+c.Subtype)
	for _, f := range []struct {
		on   bool
		word string
	}{{c.ReadOnly, "ro"}, {c.Suid, "suid"}, {c.Dev, "dev"}, {c.NoExec, "noexec"},
		{c.NoAtime, "noatime"}, {c.NoDirAtime, "nodiratime"}} {
		if f.on {
			o = append(o, f.word)
		}
	}
	for i := range o {
		o[i] = strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(o[i])
	}
	return o
}
