package state

import (
	"fmt"

	"dfs/fs"
)

// Accounting reports whether anything is charged; see command.KeepAccounts.
func (v View) Accounting() (bool, error) { return has(v.r, []byte(keyAccounting)) }

// Surveying reports whether something is still to be counted; see command.Survey.
func (v View) Surveying() (bool, error) {
	var a accounting
	_, err := get(v.r, []byte(keyAccounting), &a)
	return a.census != 0 || a.walking != 0 || a.waiting > 0, err
}

// Limited reports whether there is a limit at all.
func (v View) Limited() (bool, error) {
	var a accounting
	_, err := get(v.r, []byte(keyAccounting), &a)
	return a.limited > 0, err
}

// Quotas lists the quotas behind one, at most limit; of users only those with limits, unless all is said.
func (v View) Quotas(past fs.QuotaID, limit int, all bool) ([]fs.Quota, error) {
	if limit < 1 || limit > fs.QuotasMax {
		return nil, fmt.Errorf("list %d quotas: %w", limit, fs.ErrInvalid)
	}
	var now accounting
	if _, err := get(v.r, []byte(keyAccounting), &now); err != nil {
		return nil, err
	}
	var list []fs.Quota
	from := userKey(0)
	if past.User {
		from = after(key1(keyUser, past.Number))
	} else {
		err := v.accounts(keyTree, after(key1(keyTree, past.Number)), func(number uint64, a *account) bool {
			list = append(list, fs.Quota{ID: fs.QuotaID{Number: number}, Limits: a.limits, Used: a.used, State: a.state()})
			return len(list) < limit
		})
		if err == nil {
			err = v.locate(list)
		}
		if err != nil || len(list) == limit {
			return list, err
		}
	}
	err := v.accounts(keyUser, from, func(number uint64, a *account) bool {
		list = appendUser(list, number, a, all, &now)
		return len(list) < limit
	})
	return list, err
}

func appendUser(list []fs.Quota, uid uint64, a *account, all bool, now *accounting) []fs.Quota {
	if a.limits == (fs.Limits{}) && !all {
		return list
	}
	q := fs.Quota{ID: fs.QuotaID{User: true, Number: uid}, Limits: a.limits, Used: a.used, State: fs.QuotaCounted}
	if now.census != 0 {
		q.State = fs.QuotaCounting
	}
	return append(list, q)
}

// accounts calls fn for the accounts of one kind from a key on.
func (v View) accounts(kind byte, from []byte, fn func(number uint64, a *account) bool) error {
	return scan(v.r, from, prefixEnd([]byte{kind}), func(key, value []byte) (bool, error) {
		var a account
		if err := decode(value, &a); err != nil {
			return false, err
		}
		number, err := keyNumber(key, 1)
		return fn(number, &a), err
	})
}

// state is what operators are told of a tree.
func (a *account) state() string {
	switch {
	case a.doomed || a.phase == treeLeaving:
		return fs.QuotaLeaving
	case a.phase == treeWaiting:
		return fs.QuotaWaiting
	case a.phase == treeCounting:
		return fs.QuotaCounting
	}
	return fs.QuotaCounted
}

// locate fills in the paths of trees. A directory that was removed, and is still open, has none.
func (v View) locate(list []fs.Quota) error {
	for n := range list {
		ino := fs.Ino(list[n].ID.Number)
		i, err := v.inode(ino)
		if err != nil {
			return err
		}
		if i.Nlink == 0 {
			continue
		}
		if list[n].Path, err = v.Path(ino); err != nil {
			return err
		}
	}
	return nil
}

// Payer is an account that pays for what is written into a file, and has a limit.
type Payer struct {
	ID     fs.QuotaID
	Limits fs.Limits
	Used   fs.Usage
}

// Left is how many bytes may be added, where there is a limit to them.
func (p *Payer) Left() uint64 { return p.Limits.Bytes - min(p.Used.Bytes, p.Limits.Bytes) }

// Payers lists the accounts with limits that pay for an inode: its user's, its tree's and those of the trees around it.
func (v View) Payers(ino fs.Ino) ([]Payer, error) {
	i, err := v.inode(ino)
	if err != nil {
		return nil, err
	}
	var list []Payer
	add := func(id fs.QuotaID, key []byte) (outer fs.Ino, err error) {
		a, err := readAccount(v.r, key)
		if err != nil {
			return 0, err
		}
		if a.limits != (fs.Limits{}) {
			list = append(list, Payer{id, a.limits, a.used})
		}
		return a.outer, nil
	}
	if _, err := add(fs.QuotaID{User: true, Number: uint64(i.UID)}, userKey(i.UID)); err != nil {
		return nil, err
	}
	for tree := i.tree; tree != 0; {
		if tree, err = add(fs.QuotaID{Number: uint64(tree)}, treeKey(tree)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Statfs is the space of the cluster as it is seen in the tree that an inode lies in: that of the tree around it that has the
// least left, bytes and inodes each, and no more than the cluster's.
func (v View) Statfs(ino fs.Ino, whole fs.Statfs) (fs.Statfs, error) {
	list, err := v.Payers(ino)
	if err != nil {
		return whole, err
	}
	s := whole
	for n := range list {
		p := &list[n]
		if p.ID.User {
			continue
		}
		if p.Limits.Bytes > 0 && (p.Left() < s.FreeBytes || s.TotalBytes == whole.TotalBytes) {
			s.FreeBytes = min(p.Left(), whole.FreeBytes)
			s.TotalBytes = min(p.Limits.Bytes, p.Used.Bytes+s.FreeBytes)
		}
		if left := s.InodesLimit - min(s.Inodes, s.InodesLimit); p.Limits.Inodes > 0 &&
			(s.InodesLimit == 0 || p.Limits.Inodes-min(p.Used.Inodes, p.Limits.Inodes) < left) {
			s.Inodes, s.InodesLimit = p.Used.Inodes, p.Limits.Inodes
		}
	}
	return s, nil
}
