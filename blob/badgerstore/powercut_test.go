package badgerstore

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPowerCut_LosesNothingItVotedFor: the filesystem is shut down under the working store in such a way that what has
// not been synced never reaches the disk, not even the journal, and is then mounted again.
func TestPowerCut_LosesNothingItVotedFor(t *testing.T) {
	disk := newDisk(t, 700*mib)
	p := make(promises)
	for _, lines := range []int{60, 300, 500} {
		disk.mount(t)
		p.run(t, filepath.Join(disk.dir, "store"), lines, func() { disk.cutPower(t) })
		disk.unmount(t)
		disk.mount(t)
		p.check(t, filepath.Join(disk.dir, "store"))
		disk.unmount(t)
	}
}

// disk is an ext4 filesystem in a file.
type disk struct{ image, dir string }

func newDisk(t *testing.T, bytes int64) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a disk needs root")
	}
	d := &disk{image: filepath.Join(t.TempDir(), "disk"), dir: t.TempDir()}
	f, err := os.Create(d.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(bytes); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = unix.Unmount(d.dir, unix.MNT_DETACH) }) // only if the test ended in the middle
	return d
}

func (d *disk) mount(t *testing.T) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		t.Skipf("mount: %v: %s", err, out)
	}
}

func (d *disk) unmount(t *testing.T) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "umount", d.dir).CombinedOutput(); err != nil {
		t.Fatalf("umount: %v: %s", err, out)
	}
}

// cutPower is FS_IOC_SHUTDOWN without a flush of the journal (linux/fs.h).
func (d *disk) cutPower(t *testing.T) {
	t.Helper()
	const shutdown, noLogFlush = 0x8004587d, 2
	f, err := os.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), shutdown, noLogFlush); err != nil {
		t.Skipf("this filesystem cannot be shut down: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
