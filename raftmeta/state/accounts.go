package state

import (
	"dfs/fs"
	"dfs/fs/wire"
)

// What is used of the quotas; see DESIGN.md, "Quotas".

// account is what a user, or a tree, has used, and may use.
type account struct {
	used   fs.Usage
	limits fs.Limits
	outer  fs.Ino    // of a tree: the tree that it lies in; 0: none
	phase  treePhase // of a tree
	doomed bool      // of a tree: its quota was removed before its usage was counted, or while another tree was

	key     []byte
	exists  bool
	limited bool // as it was read
	dirty   bool
	moved   bool     // by the operation at hand
	before  fs.Usage // as that found it
}

func (a *account) wire(c *wire.Coder) {
	for _, n := range []*uint64{&a.used.Bytes, &a.used.Inodes, &a.limits.Bytes, &a.limits.Inodes} {
		c.Uint64(n)
	}
	wire.Uint(c, &a.outer)
	wire.Uint(c, &a.phase)
	c.Bool(&a.doomed)
}

// accounting says how far the counting of what was there before has come. It is there from command.Account on: without it
// nothing is charged.
type accounting struct {
	census  fs.Ino // the next inode that may not have been charged to its user yet; 0: all have
	walking fs.Ino // the tree that is being counted, or left; 0: none
	sweep   fs.Ino // while that is left, and its directories have been: the next inode to look at
	waiting uint64 // trees whose turn comes after that
	limited uint64 // accounts with a limit
}

func (r *accounting) wire(c *wire.Coder) {
	wire.Uint(c, &r.census)
	wire.Uint(c, &r.walking)
	wire.Uint(c, &r.sweep)
	c.Uint64(&r.waiting)
	c.Uint64(&r.limited)
}

// ledger is the accounts as a change sees them.
type ledger struct {
	accounting
	on     bool
	dirty  bool // of accounting
	loaded map[string]*account
	order  []*account // the same, in the order of loading
	moved  []*account // by the operation at hand
}

// bill is what is charged for an inode, and to whom. The zero bill is for nothing.
type bill struct {
	uid   uint32
	tree  fs.Ino // and all trees around it; 0: none
	usage fs.Usage
}

// due is what an inode costs as it is now.
func (i *inode) due() bill {
	if i.gone {
		return bill{}
	}
	return bill{i.UID, i.tree, fs.Usage{Bytes: i.Used, Inodes: 1}}
}

func readAccount(r Reader, key []byte) (*account, error) {
	a := &account{key: key}
	var err error
	a.exists, err = get(r, key, a)
	a.limited = a.limits != fs.Limits{}
	return a, err
}

// account is the shared copy of an account, an empty one if there is none.
func (c *change) account(key []byte) (*account, error) {
	if a := c.ledger.loaded[string(key)]; a != nil {
		return a, nil
	}
	a, err := readAccount(c.kv, key)
	if err != nil {
		return nil, err
	}
	if c.ledger.loaded == nil {
		c.ledger.loaded = make(map[string]*account)
	}
	c.ledger.loaded[string(key)] = a
	c.ledger.order = append(c.ledger.order, a)
	return a, nil
}

// treeAccount is the account of a tree that an inode or another tree names.
func (c *change) treeAccount(root fs.Ino) (*account, error) {
	a, err := c.account(treeKey(root))
	if err == nil && !a.exists {
		err = corrupt("tree %d is named but has no account", root)
	}
	return a, err
}

// chain calls fn for a tree's account and those of the trees around it.
func (c *change) chain(root fs.Ino, fn func(*account) error) error {
	for steps := 0; root != 0; steps++ {
		a, err := c.treeAccount(root)
		if err == nil && steps > climbMax {
			err = corrupt("the trees around tree %d form a loop", root)
		}
		if err == nil {
			err = fn(a)
		}
		if err != nil {
			return err
		}
		root = a.outer
	}
	return nil
}

// booking is how a usage is booked.
type booking struct {
	refund bool // it is taken off, not added
	free   bool // what it adds is no ground to refuse the operation at hand: it was there before
}

// charge books a bill on the accounts of its user and its trees.
func (c *change) charge(b bill, how booking) error {
	if b.usage == (fs.Usage{}) {
		return nil
	}
	user, err := c.account(userKey(b.uid))
	if err == nil {
		user.exists = true
		err = c.book(user, b.usage, how)
	}
	if err != nil {
		return err
	}
	return c.chargeTrees(b.tree, b.usage, how)
}

func (c *change) chargeTrees(root fs.Ino, u fs.Usage, how booking) error {
	return c.chain(root, func(a *account) error { return c.book(a, u, how) })
}

func (c *change) book(a *account, u fs.Usage, how booking) error {
	if !a.moved {
		a.moved, a.before = true, a.used
		c.ledger.moved = append(c.ledger.moved, a)
	}
	a.dirty = true
	if how.refund && (a.used.Bytes < u.Bytes || a.used.Inodes < u.Inodes) {
		return corrupt("account %q has used %+v, of which %+v is to be taken off", a.key, a.used, u)
	}
	a.used = how.of(a.used, u)
	if how.free {
		a.before = how.of(a.before, u)
	}
	return nil
}

// of is what booking u makes of a usage.
func (b booking) of(from, u fs.Usage) fs.Usage {
	if b.refund {
		return fs.Usage{Bytes: from.Bytes - u.Bytes, Inodes: from.Inodes - u.Inodes}
	}
	return fs.Usage{Bytes: from.Bytes + u.Bytes, Inodes: from.Inodes + u.Inodes}
}

// count charges for an inode that was there before anything was charged, as it was then.
func (c *change) count(i *inode) error {
	if i.counted {
		return nil
	}
	i.counted, i.dirty = true, true
	return c.charge(i.billed, booking{free: true})
}

// rebill charges for what has become of an inode since it was charged for last.
func (c *change) rebill(i *inode, how booking) error {
	if err := c.count(i); err != nil {
		return err
	}
	due := i.due()
	if due == i.billed {
		return nil
	}
	if err := c.charge(i.billed, booking{refund: true, free: how.free}); err != nil {
		return err
	}
	i.billed = due
	return c.charge(due, how)
}

// bill charges for what the operation at hand did.
func (c *change) bill() error {
	if !c.ledger.on {
		return nil
	}
	for _, i := range c.touched {
		if err := c.rebill(i, booking{}); err != nil {
			return err
		}
	}
	return nil
}

// afford refuses an operation that has raised a usage beyond its limit. Others begin with what it has left.
func (c *change) afford() error {
	var err error
	for _, a := range c.ledger.moved {
		if a.limits.Exceeds(a.before, a.used) {
			err = refuse(fs.ErrQuota)
		}
		a.moved = false
	}
	c.ledger.moved = c.ledger.moved[:0]
	return err
}

// closeBooks stores the accounts. One of a user that has nothing, and no limits, needs no record.
func (c *change) closeBooks() error {
	for _, a := range c.ledger.order {
		if !a.dirty {
			continue
		}
		switch limited := a.exists && a.limits != (fs.Limits{}); {
		case limited && !a.limited:
			c.ledger.limited++
			c.ledger.dirty = true
		case !limited && a.limited:
			c.ledger.limited--
			c.ledger.dirty = true
		}
		empty := a.key[0] == keyUser && a.used == (fs.Usage{}) && a.limits == (fs.Limits{})
		var err error
		if empty || !a.exists {
			err = c.kv.Delete(a.key)
		} else {
			err = c.kv.Set(a.key, encode(a))
		}
		if err != nil {
			return err
		}
	}
	if c.ledger.dirty {
		return c.kv.Set([]byte(keyAccounting), encode(&c.ledger.accounting))
	}
	return nil
}
