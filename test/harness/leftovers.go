package harness

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// leftovers describes what tests have left behind: processes of programs under dir, mounts under dir, and namespaces of
// this process.
func leftovers(dir string) []string {
	var left []string
	for _, pid := range processesOf(dir) {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may just have ended
		left = append(left, fmt.Sprintf("process %d: %s", pid, strings.ReplaceAll(string(cmdline), "\x00", " ")))
	}
	for _, m := range mountsUnder(dir) {
		left = append(left, "mount "+m)
	}
	for _, ns := range ownNamespaces() {
		left = append(left, "network namespace "+ns)
	}
	return left
}

// sweep removes what leftovers would report, and dir.
func sweep(dir string) {
	for _, pid := range processesOf(dir) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may just have ended
	}
	for _, m := range mountsUnder(dir) {
		_ = unix.Unmount(m, unix.MNT_DETACH) // reported already
	}
	for _, ns := range ownNamespaces() {
		_ = deleteNamespace(ns) // reported already
	}
	if len(mountsUnder(dir)) == 0 { // never delete through a mount
		_ = os.RemoveAll(dir) // in the temporary directory: the system's to clean in the end
	}
}

// processesOf lists processes whose program lies under dir.
func processesOf(dir string) []int {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return nil
	}
	var pids []int
	for _, link := range links {
		exe, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(exe, dir+"/bin/") {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// mountsUnder lists mount points under dir, deepest first.
func mountsUnder(dir string) []string {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil
	}
	defer f.Close() // read only
	var all []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			all = append(all, fields[1])
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all
}
