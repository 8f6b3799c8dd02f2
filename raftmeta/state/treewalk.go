package state

import (
	"cmp"

	"dfs/fs"
	"dfs/fs/wire"
	"dfs/raftmeta/command"
)

// Counting what was there before, in bounded steps; see DESIGN.md, "Quotas".

// surveyMax bounds how many inodes one Survey looks at.
const surveyMax = 4096

// treePhase is how far the account of a tree has come.
type treePhase uint8

// Phases are stored: never renumber.
const (
	treeWaiting  treePhase = iota // nothing is charged to it yet
	treeCounting                  // the walk is under way
	treeCounted
	treeLeaving // the walk that takes all out of it again is under way
)

// progress is how far the walk through a directory has come.
type progress struct{ past fs.Cookie }

func (r *progress) wire(c *wire.Coder) { wire.Uint(c, &r.past) }

// enqueue has the entries of a directory looked at, all of them.
func (c *change) enqueue(dir fs.Ino) error {
	if c.ledger.walking == 0 {
		return corrupt("directory %d is to be walked through, but no walk is under way", dir)
	}
	return c.kv.Set(walkKey(dir), encode(&progress{}))
}

// keepAccounts begins to charge. What is there already is charged by the surveys that follow.
func (c *change) keepAccounts() error {
	if c.ledger.on {
		return nil
	}
	c.ledger.on, c.ledger.census = true, fs.RootIno
	c.ledger.dirty = true
	return c.survey(&command.Survey{Inodes: 1})
}

// survey goes on with what is to be counted.
func (c *change) survey(m *command.Survey) error {
	if !c.ledger.on {
		return nil
	}
	left := min(max(m.Inodes, 1), surveyMax)
	for more := true; more && left > 0; {
		var err error
		if more, err = c.surveyStep(&left); err != nil {
			return err
		}
	}
	return nil
}

// surveyStep does something of it and takes what that was from left; not more: there is nothing to do.
func (c *change) surveyStep(left *int) (more bool, err error) {
	l := &c.ledger
	switch {
	case l.census != 0:
		l.census, err = c.eachInode(l.census, left, c.count)
		l.dirty = true
		return true, err
	case l.walking == 0:
		return c.nextWalk(left)
	case l.sweep != 0:
		return true, c.sweepLeft(left)
	}
	dir, found, err := c.nextDir()
	if err != nil {
		return false, err
	}
	if !found {
		return true, c.endWalk(left)
	}
	return true, c.walkDir(dir, left)
}

// eachInode calls fn for inodes from one on, and returns where to go on; 0: there are no more.
func (c *change) eachInode(from fs.Ino, left *int, fn func(*inode) error) (fs.Ino, error) {
	var list []fs.Ino
	err := scan(c.kv, inodeKey(from), prefixEnd([]byte{keyInode}), func(key, _ []byte) (bool, error) {
		ino, err := keyNumber(key, 1)
		list = append(list, fs.Ino(ino))
		return len(list) < *left, err
	})
	if err != nil {
		return 0, err
	}
	for _, ino := range list {
		i, err := c.referred(ino)
		if err == nil {
			err = fn(i)
		}
		if err != nil {
			return 0, err
		}
	}
	next := fs.Ino(0)
	if len(list) == *left {
		next = list[len(list)-1] + 1
	}
	*left -= max(len(list), 1)
	return next, nil
}

// nextWalk begins with a tree that waits for it.
func (c *change) nextWalk(left *int) (bool, error) {
	if c.ledger.waiting == 0 {
		return false, nil
	}
	*left--
	root := fs.Ino(0)
	from := []byte{keyTree}
	err := scan(c.kv, from, prefixEnd(from), func(key, value []byte) (bool, error) {
		a, known := c.ledger.loaded[string(key)] // as this command has left it: several turns may come within one
		var err error
		if !known {
			a = &account{exists: true}
			err = decode(value, a)
		}
		if !a.exists || a.phase != treeWaiting && !a.doomed {
			return true, err
		}
		ino, e := keyNumber(key, 1)
		root = fs.Ino(ino)
		return false, cmp.Or(err, e)
	})
	if err != nil {
		return false, err
	}
	if root == 0 {
		return false, corrupt("%d trees wait, but there are none", c.ledger.waiting)
	}
	c.ledger.waiting--
	c.ledger.dirty = true
	a, err := c.treeAccount(root)
	if err != nil {
		return false, err
	}
	d, err := c.referred(root)
	if err != nil {
		return false, err
	}
	return true, c.beginWalk(a, d)
}

// beginWalk begins to count a tree, or to leave it if it has been counted.
func (c *change) beginWalk(a *account, root *inode) error {
	c.ledger.walking, c.ledger.dirty = root.Ino, true
	a.dirty = true
	if a.phase == treeWaiting {
		a.phase = treeCounting
		if err := c.foundTree(a, root); err != nil {
			return err
		}
		return c.enqueue(root.Ino)
	}
	a.phase, a.doomed = treeLeaving, false
	if err := c.uncharge(root, a.outer); err != nil {
		return err
	}
	return c.enqueue(root.Ino)
}

// foundTree makes a directory the root of its tree.
func (c *change) foundTree(a *account, root *inode) error {
	a.outer, a.dirty = root.tree, true
	return c.uncharge(root, root.Ino)
}

// uncharge charges a directory alone, root or not, to another tree.
func (c *change) uncharge(d *inode, to fs.Ino) error {
	if err := c.rebill(d, booking{free: true}); err != nil {
		return err
	}
	d.tree, d.dirty = to, true
	return c.rebill(d, booking{free: true})
}

// nextDir is a directory whose entries have not all been looked at.
func (c *change) nextDir() (dir fs.Ino, found bool, err error) {
	from := []byte{keyWalk}
	err = scan(c.kv, from, prefixEnd(from), func(key, _ []byte) (bool, error) {
		ino, err := keyNumber(key, 1)
		dir, found = fs.Ino(ino), true
		return false, err
	})
	return dir, found, err
}

// walkDir takes entries of a directory into the directory's tree, or out of the one that is left.
func (c *change) walkDir(dir fs.Ino, left *int) error {
	d, err := c.inode(dir)
	if err != nil {
		return err
	}
	if d == nil || d.Nlink == 0 { // it was removed, and so is empty
		*left--
		return c.kv.Delete(walkKey(dir))
	}
	var at progress
	if _, err := get(c.kv, walkKey(dir), &at); err != nil {
		return err
	}
	list, err := View{c.kv}.entries(dir, at.past, *left)
	if err != nil {
		return err
	}
	for n := range list {
		i, err := c.referred(list[n].Attr.Ino)
		if err == nil {
			err = c.takeIn(i, d)
		}
		if err != nil {
			return err
		}
		at.past = list[n].Cookie
	}
	done := len(list) < *left
	*left -= max(len(list), 1)
	if done {
		return c.kv.Delete(walkKey(dir))
	}
	return c.kv.Set(walkKey(dir), encode(&at))
}

// endWalk is called when all directories have been walked through. What is still charged to a tree that is left are orphans,
// and files with names in other trees: they are looked for among all inodes.
func (c *change) endWalk(left *int) error {
	*left--
	l := &c.ledger
	l.dirty = true
	a, err := c.account(treeKey(l.walking))
	switch {
	case err != nil:
		return err
	case !a.exists: // its directory has been removed
		l.walking = 0
	case a.phase == treeCounting:
		a.phase, a.dirty = treeCounted, true
		l.walking = 0
		if a.doomed {
			l.waiting++
		}
	case a.used == fs.Usage{}:
		a.exists, a.dirty = false, true
		l.walking = 0
	default:
		l.sweep = fs.RootIno
	}
	return nil
}

// sweepLeft takes inodes out of the tree that is left.
func (c *change) sweepLeft(left *int) error {
	l := &c.ledger
	l.dirty = true
	a, err := c.account(treeKey(l.walking))
	if err != nil || !a.exists {
		l.sweep, l.walking = 0, 0
		*left--
		return err
	}
	l.sweep, err = c.eachInode(l.sweep, left, func(i *inode) error {
		around, err := c.around(i)
		if err != nil || around != l.walking {
			return err
		}
		return c.transfer(i, a.outer)
	})
	if err == nil && l.sweep == 0 && a.used != (fs.Usage{}) {
		err = corrupt("all has left tree %d, but %+v", l.walking, a.used)
	}
	return err
}

// setQuota sets or removes the limits of a user or a tree.
func (c *change) setQuota(m *command.SetQuota) error {
	if !c.ledger.on {
		return refuse(fs.ErrNotSupported)
	}
	if m.Of.User {
		return c.setUserQuota(m)
	}
	root, err := c.resolve(m.Of.Path)
	if err != nil {
		return err
	}
	a, err := c.account(treeKey(root))
	if err != nil {
		return err
	}
	d, err := c.referred(root)
	if err != nil {
		return err
	}
	a.dirty = true
	switch {
	case m.Remove && !a.exists:
		return refuse(fs.ErrNotExist)
	case m.Remove:
		return c.removeTree(a, d)
	case a.exists && a.phase == treeLeaving:
		return refuse(fs.ErrBusy)
	}
	m.Change.Apply(&a.limits)
	switch {
	case !a.exists:
		a.exists = true
		return c.newTree(a, d)
	case a.doomed && a.phase == treeCounted:
		c.ledger.waiting--
		c.ledger.dirty = true
	}
	a.doomed = false
	return nil
}

// newTree has a tree counted: at once if it is empty, as soon as it can be if not.
func (c *change) newTree(a *account, d *inode) error {
	switch {
	case d.entries == 0:
		a.phase = treeCounted
		return c.foundTree(a, d)
	case c.ledger.walking == 0:
		return c.beginWalk(a, d)
	}
	c.ledger.waiting++
	c.ledger.dirty = true
	return nil
}

// removeTree has a tree left as soon as that can be. From now on it has no limits.
func (c *change) removeTree(a *account, d *inode) error {
	a.limits = fs.Limits{}
	switch {
	case a.phase == treeLeaving || a.doomed:
		return nil
	case a.phase == treeWaiting:
		a.exists = false
		c.ledger.waiting--
		c.ledger.dirty = true
		return nil
	case a.phase == treeCounted && c.ledger.walking == 0:
		return c.beginWalk(a, d)
	case a.phase == treeCounted:
		c.ledger.waiting++
		c.ledger.dirty = true
	}
	a.doomed = true
	return nil
}

func (c *change) setUserQuota(m *command.SetQuota) error {
	a, err := c.account(userKey(m.Of.UID))
	if err != nil {
		return err
	}
	if m.Remove && a.limits == (fs.Limits{}) {
		return refuse(fs.ErrNotExist)
	}
	a.exists, a.dirty = true, true
	if m.Remove {
		a.limits = fs.Limits{}
		return nil
	}
	m.Change.Apply(&a.limits)
	return nil
}

// buryTree ends the account of a directory that is reaped: by then nothing is charged to it.
func (c *change) buryTree(d *inode) error {
	if !d.IsDir() {
		return nil
	}
	a, err := c.account(treeKey(d.Ino))
	if err != nil || !a.exists {
		return err
	}
	if a.used != (fs.Usage{}) {
		return corrupt("directory %d is reaped, but its tree has used %+v", d.Ino, a.used)
	}
	if a.phase == treeWaiting || a.phase == treeCounted && a.doomed {
		c.ledger.waiting--
		c.ledger.dirty = true
	}
	a.exists, a.dirty = false, true
	return nil
}
