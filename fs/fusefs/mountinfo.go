package fusefs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// mountEntry is a line of /proc/self/mountinfo, see proc_pid_mountinfo(5).
type mountEntry struct {
	device string // major:minor
	dir    string
	fsType string
}

// mountAt is the topmost mount at dir, which is absolute and clean, and whether there is one. It asks no filesystem, so
// it cannot hang on a dead one.
func mountAt(dir string) (mountEntry, bool, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return mountEntry{}, false, fmt.Errorf("list the mounts: %w", err)
	}
	defer f.Close()
	return topmost(f, dir)
}

func topmost(mountinfo io.Reader, dir string) (top mountEntry, found bool, err error) {
	lines := bufio.NewScanner(mountinfo)
	lines.Buffer(nil, 1<<20) // overlay mounts have long lines
	for lines.Scan() {
		if e, ok := parseMount(lines.Text()); ok && e.dir == dir {
			top, found = e, true
		}
	}
	return top, found, lines.Err()
}

func parseMount(line string) (mountEntry, bool) {
	before, after, ok := strings.Cut(line, " - ")
	head, tail := strings.Fields(before), strings.Fields(after)
	if !ok || len(head) < 5 || len(tail) < 1 {
		return mountEntry{}, false
	}
	return mountEntry{device: head[2], dir: unescape(head[4]), fsType: tail[0]}, true
}

// unescape undoes the \ooo by which the kernel writes blanks and backslashes.
func unescape(s string) string {
	var b strings.Builder
	for {
		plain, rest, ok := strings.Cut(s, `\`)
		b.WriteString(plain)
		if !ok {
			return b.String()
		}
		s = rest
		if len(rest) >= 3 {
			if c, err := strconv.ParseUint(rest[:3], 8, 8); err == nil {
				b.WriteByte(byte(c))
				s = rest[3:]
				continue
			}
		}
		b.WriteByte('\\')
	}
}
