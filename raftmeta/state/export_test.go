package state

import "dfs/fs"

// AllInos lists all inodes, for tests that look at each.
func AllInos(r Reader) ([]fs.Ino, error) {
	var list []fs.Ino
	err := NewView(r).each(keyInode, nil, func(key, _ []byte) (bool, error) {
		ino, err := keyNumber(key, 1)
		list = append(list, fs.Ino(ino))
		return true, err
	})
	return list, err
}
