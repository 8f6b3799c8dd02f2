package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dfs/test/harness"
)

// installed is what somebody who installs the package does, in a root of their own: process, mount and network
// namespaces end with the script, and all that it has started and mounted with them.
const installed = `
mount -t proc proc /proc
export DEBIAN_FRONTEND=noninteractive
dpkg -i /tmp/dfs.deb
getent passwd dfs
dfsnode --version
test ! -e /var/lib/dfs # nothing was started
for f in /usr/sbin/mount.dfs /usr/lib/systemd/system/dfsnode.service /usr/share/man/man8/mount.dfs.8.gz /usr/share/man/man1/dfs-status.1.gz \
	/usr/share/bash-completion/completions/dfs /usr/share/zsh/vendor-completions/_dfs /usr/share/fish/vendor_completions.d/dfs.fish \
	/usr/share/doc/dfs/copyright /usr/share/doc/dfs/monitoring/alerts.yml /usr/share/doc/dfs/monitoring/board.json; do
	test -s "$f" || { echo "missing: $f"; exit 1; }
done
dpkg-query -W -f '${Conffiles}' dfs | grep -q /etc/dfs/dfsnode.yaml

# As installed, a node forms no cluster.
code=0; dfsnode --config /etc/dfs/dfsnode.yaml 2>/tmp/said || code=$?
test $code = 2; grep -q bootstrap-expect /tmp/said; test ! -e /var/lib/dfs

sed -i 's/^#bootstrap-expect: .*/bootstrap-expect: 1/; s/^#pid-file: .*/pid-file: \/run\/dfsnode.pid/' /etc/dfs/dfsnode.yaml
dfsnode --config /etc/dfs/dfsnode.yaml >/tmp/node.log 2>&1 &
i=0; until test -s /run/dfsnode.pid; do i=$((i + 1)); test $i -lt 100 || { cat /tmp/node.log; exit 1; }; sleep 0.1; done

# By hand.
mkdir -p /mnt/x
mount -v -t dfs 127.0.0.1 /mnt/x -o allow_other,connect_timeout=20s | grep 'mounted on /mnt/x'
findmnt -n -o SOURCE,FSTYPE /mnt/x | grep -q '^127.0.0.1 *fuse.dfs$'
mount | grep '^127.0.0.1 on /mnt/x type fuse.dfs (rw,nosuid,nodev,'
seq 1000000 >/mnt/x/f; seq 1000000 | cmp - /mnt/x/f
code=0; mount -o remount,ro /mnt/x 2>/tmp/said || code=$?
test $code = 1; grep -q 'umount it and mount again' /tmp/said
umount /mnt/x
test ! -e /mnt/x/f

# By a line of fstab, read-only.
echo '127.0.0.1 /mnt/x dfs _netdev,nofail,noauto,user,x-systemd.automount,ro 0 0' >/etc/fstab
mount /mnt/x
test "$(sha256sum </mnt/x/f)" = "$(seq 1000000 | sha256sum)"
code=0; touch /mnt/x/g 2>/tmp/said || code=$?
test $code != 0; grep -q 'Read-only file system' /tmp/said
umount /mnt/x

# What goes wrong, by mount(8)'s exit codes.
code=0; mount -t dfs 127.0.0.1:1 /mnt/x -o connect_timeout=1s 2>/tmp/said || code=$?
test $code = 32; grep -q 'no cluster at 127.0.0.1:1' /tmp/said
code=0; mount -t dfs 127.0.0.1 /mnt/x -o nosuch 2>/tmp/said || code=$?
test $code = 1; grep -q nosuch /tmp/said
if grep fuse.dfs /proc/mounts; then exit 1; fi

kill "$(cat /run/dfsnode.pid)"; wait
dpkg -r dfs
test -d /var/lib/dfs # the data is not the package's
echo all is well
`

func TestPackage_InstallsServesAndMountsOnDebian(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a root directory")
	}
	harness.NeedFUSE(t)
	harness.NeedProgram(t, "debootstrap", "chroot", "unshare", "ip", "gzip")
	url, suite := mirror(t)
	dist := t.TempDir()
	r := harness.Command{Argv: []string{"../../.packaging/build", "deb/" + runtime.GOARCH}, Env: []string{"DIST=" + dist}, Timeout: 5 * time.Minute}.Exec()
	if err := r.Failure(); err != nil {
		if regexp.MustCompile(`nfpm@.*(dial|Forbidden|lookup|timeout)`).MatchString(r.Err) {
			t.Skipf("nfpm cannot be fetched: %s", r.Err)
		}
		t.Fatal(err)
	}
	debs, err := filepath.Glob(filepath.Join(dist, "*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("built %q, %v", debs, err)
	}

	root := harness.MountPoint(t)
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=1g,mode=755"); err != nil {
		t.Skipf("no tmpfs: %v", err)
	}
	r = harness.Command{Argv: []string{"debootstrap", "--variant=minbase", suite, root, url}, Timeout: 5 * time.Minute}.Exec()
	if err := r.Failure(); err != nil {
		t.Skipf("debootstrap of %s from %s: %v", suite, url, err)
	}
	harness.Run(t, "cp", debs[0], filepath.Join(root, "tmp/dfs.deb"))
	harness.Shell(t, time.Minute, root, "test -e dev/fuse || mknod dev/fuse c 10 229")
	if err := os.WriteFile(filepath.Join(root, "tmp/installed"), []byte(installed), 0o644); err != nil {
		t.Fatal(err)
	}
	r = harness.Command{Timeout: 2 * time.Minute, Argv: []string{"unshare", "--mount", "--pid", "--fork", "--net", "--kill-child",
		"sh", "-ec", `ip link set lo up; exec chroot "$1" sh -eux /tmp/installed`, "sh", root}}.Exec()
	if err := r.Failure(); err != nil || !strings.HasSuffix(r.Out, "all is well\n") {
		t.Errorf("in the root: %v", err)
	}
}

// mirror is where this machine gets its Debian packages.
func mirror(t *testing.T) (url, suite string) {
	t.Helper()
	files, err := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, f := range append(files, "/etc/apt/sources.list") {
		data, err := os.ReadFile(f)
		if err == nil {
			text += string(data) + "\n"
		}
	}
	for _, form := range []string{`(?m)^URIs: *(http\S+/debian/?)\s*\nSuites: *(\S+)`, `(?m)^deb +(?:\[.*\] +)?(http\S+/debian/?) +(\S+) `} {
		if m := regexp.MustCompile(form).FindStringSubmatch(text); m != nil {
			url, suite = strings.TrimSuffix(m[1], "/"), m[2]
			break
		}
	}
	if url == "" {
		t.Skip("this machine names no Debian mirror in /etc/apt")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url+"/dists/"+suite+"/InRelease", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Skipf("the Debian mirror does not answer: %v", err)
	}
	_ = answer.Body.Close() // a HEAD has none
	if answer.StatusCode != http.StatusOK {
		t.Skipf("the Debian mirror %s answers %s", url, answer.Status)
	}
	return url, suite
}

func TestPackageVersion_IsLegalAndGrows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ describe, want string }{
		{"v1.2.3-0-gabcdef0", "1.2.3"},
		{"v1.2.3-4-gabcdef0", "1.2.3+4.gabcdef0"},
		{"v1.3.0-rc1-0-gabcdef0", "1.3.0~rc1"},
		{"v1.3.0-rc1-2-gabcdef0", "1.3.0~rc1+2.gabcdef0"},
		{"", "0.0.0+57.gabcdef0"},
	} {
		if got := strings.TrimSpace(harness.Run(t, "../../.packaging/version", c.describe, "57", "abcdef0")); got != c.want {
			t.Errorf("%q: %q, want %q", c.describe, got, c.want)
		}
	}
}
