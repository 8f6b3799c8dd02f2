package state

import (
	"fmt"

	"dfs/fs"
)

// Names lists at most limit entries of a directory behind a cookie. Nothing is filled in of their Attr but Ino and Type: unlike
// Readdir it reads no inodes, and asks nothing about the directory itself.
func (v View) Names(dir fs.Ino, past fs.Cookie, limit int) ([]fs.Dirent, error) {
	list, err := v.entries(dir, past, limit)
	if err != nil {
		return nil, fmt.Errorf("names in directory %d: %w", dir, err)
	}
	return list, nil
}
