package state

import (
	"maps"
	"slices"

	"dfs/fs"
)

// checkAccounts counts anew what every user and every tree has used, and looks at which tree each inode is charged to.
func (a *audit) checkAccounts() {
	if a.accounting == nil {
		if len(a.accounts)+len(a.walks) > 0 {
			a.fault("nothing is charged, but there are %d accounts and %d walks", len(a.accounts), len(a.walks))
		}
		return
	}
	used := map[string]fs.Usage{}
	for ino, i := range a.inodes {
		if !i.counted {
			if c := a.accounting.census; c == 0 || ino < c {
				a.fault("inode %d has not been charged for: %+v", ino, i)
			}
			continue
		}
		due := i.due()
		plus(used, userKey(due.uid), due.usage)
		for _, tree := range a.around(due.tree) {
			plus(used, treeKey(tree), due.usage)
		}
		a.checkPlace(i)
	}
	a.checkBooks(used)
	a.checkWalk()
}

func plus(used map[string]fs.Usage, key []byte, u fs.Usage) {
	sum := used[string(key)]
	used[string(key)] = fs.Usage{Bytes: sum.Bytes + u.Bytes, Inodes: sum.Inodes + u.Inodes}
}

// around lists a tree and those around it.
func (a *audit) around(tree fs.Ino) (list []fs.Ino) {
	for ; tree != 0; tree = a.accounts[string(treeKey(tree))].outer {
		if b := a.accounts[string(treeKey(tree))]; b == nil || b.phase == treeWaiting || len(list) > len(a.accounts) {
			a.fault("tree %d is charged, but is none: %+v", tree, b)
			return list
		}
		list = append(list, tree)
	}
	return list
}

// checkBooks compares the accounts with what was counted.
func (a *audit) checkBooks(used map[string]fs.Usage) {
	for key, u := range used {
		if b := a.accounts[key]; b == nil || b.used != u {
			a.fault("account %q has used %+v, but says %+v", key, u, b)
		}
	}
	for key, b := range a.accounts {
		if _, ok := used[key]; !ok && b.used != (fs.Usage{}) {
			a.fault("account %q has used nothing, but says %+v", key, b)
		}
		if key[0] == keyUser && (b.outer != 0 || b.phase != 0 || b.doomed || b.used == fs.Usage{} && b.limits == fs.Limits{}) {
			a.fault("the account of user %q is %+v", key, b)
		}
	}
}

// checkPlace looks at the tree of an inode: it is its directory's, or one around that. A directory's is just its parent's, unless
// the parent is yet to be walked through.
func (a *audit) checkPlace(i *inode) {
	around := i.tree
	if i.tree == i.Ino {
		b := a.accounts[string(treeKey(i.Ino))]
		if b == nil || b.phase != treeCounting && b.phase != treeCounted {
			a.fault("inode %d is the root of a tree, which is %+v", i.Ino, b)
			return
		}
		around = b.outer
	}
	b := a.accounts[string(treeKey(a.accounting.walking))]
	left := around != 0 && around == a.accounting.walking && b != nil && b.phase == treeLeaving
	for _, home := range a.homesOf(i) {
		d := a.inodes[home]
		if d == nil || !left && !a.lies(d.tree, around) || i.IsDir() && d.tree != around && !a.walks[home] {
			a.fault("inode %d in directory %d is charged to tree %d: %+v", i.Ino, home, around, d)
		}
	}
}

// homesOf are the directories that hold names of an inode.
func (a *audit) homesOf(i *inode) []fs.Ino {
	switch {
	case i.Ino == fs.RootIno || i.Nlink == 0:
		return nil
	case i.IsDir():
		return []fs.Ino{i.Parent}
	}
	return slices.Collect(maps.Keys(a.homes[i.Ino]))
}

// lies reports whether a tree is another one or lies in it.
func (a *audit) lies(tree, in fs.Ino) bool {
	for _, t := range a.around(tree) {
		if t == in {
			return true
		}
	}
	return in == 0
}

// checkWalk looks at the accounts of trees, and at what is under way.
func (a *audit) checkWalk() {
	now, waiting, limited := a.accounting, uint64(0), uint64(0)
	for key, b := range a.accounts {
		if b.limits != (fs.Limits{}) {
			limited++
		}
		if key[0] != keyTree {
			continue
		}
		number, _ := keyNumber([]byte(key), 1)
		ino := fs.Ino(number)
		d := a.inodes[ino]
		if d == nil || !d.IsDir() {
			a.fault("tree %d begins at no directory: %+v", ino, d)
			continue
		}
		if b.phase == treeWaiting || b.phase == treeCounted && b.doomed {
			waiting++
		}
		founded := b.phase == treeCounting || b.phase == treeCounted
		if founded != (d.tree == ino) || (b.phase == treeCounting || b.phase == treeLeaving) != (now.walking == ino) {
			a.fault("tree %d is %+v, its directory %+v, walked through is %d", ino, b, d, now.walking)
		}
	}
	if waiting != now.waiting || limited != now.limited || len(a.walks) > 0 && now.walking == 0 || now.sweep != 0 && now.walking == 0 {
		a.fault("%d trees wait, and %d directories; %d accounts have limits: %+v", waiting, len(a.walks), limited, now)
	}
	for dir := range a.walks {
		if d := a.inodes[dir]; d != nil && !d.IsDir() {
			a.fault("inode %d is to be walked through: %+v", dir, d)
		}
	}
}
