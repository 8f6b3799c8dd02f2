package fusefs

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"dfs/fs"
)

// watchedInodes are the inodes of a filesystem, by its device number as the kernel writes it, that some process watches by
// inotify(7). Processes that come and go meanwhile are no errors; those that this one may not look into are left out.
func watchedInodes(proc string, dev uint64) map[fs.Ino]bool {
	watched := map[fs.Ino]bool{}
	links, err := filepath.Glob(proc + "/[0-9]*/fd/*")
	if err != nil {
		return watched // the pattern is right
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || to != "anon_inode:inotify" {
			continue
		}
		info, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(link)), "fdinfo", filepath.Base(link)))
		if err == nil {
			readWatches(info, dev, watched)
		}
	}
	return watched
}

// readWatches reads the lines "inotify wd:1 ino:2 sdev:2a …", numbers in hexadecimal.
func readWatches(info []byte, dev uint64, watched map[fs.Ino]bool) {
	for lines := bufio.NewScanner(bytes.NewReader(info)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || words[0] != "inotify" {
			continue
		}
		var ino, sdev uint64
		for _, word := range words[1:] {
			name, value, _ := strings.Cut(word, ":")
			n, err := strconv.ParseUint(value, 16, 64)
			switch {
			case err != nil:
			case name == "ino":
				ino = n
			case name == "sdev":
				sdev = n
			}
		}
		if ino != 0 && sdev == dev {
			watched[fs.Ino(ino)] = true
		}
	}
}
