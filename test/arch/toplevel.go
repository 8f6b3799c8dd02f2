package arch

import (
	"io/fs"
	"slices"
	"strings"
)

// topLevel is all that lies in the root, besides names that start with a dot: a reader's first look must stay short.
var topLevel = []string{"cmd", "fs", "cluster", "blob", "raftmeta", "test",
	"go.mod", "go.sum", "Makefile", "README.md", "CONTRIBUTING.md", "LICENSE", "NOTICE"}

// CheckTopLevel reports what else lies in the root of fsys. ignored are the names that version control ignores.
func CheckTopLevel(fsys fs.FS, ignored []string) ([]string, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, err
	}
	var bad []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) && !slices.Contains(ignored, name) {
			bad = append(bad, name+" lies in the root; the root holds "+strings.Join(topLevel, ", ")+" and dot files only")
		}
	}
	return bad, nil
}
