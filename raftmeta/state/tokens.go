package state

import (
	"crypto/subtle"
	"slices"

	"dfs/fs"
	"dfs/fs/wire"
	"dfs/raftmeta/command"
)

// token is a join token. The keys that have taken a use are remembered, so that asking again takes no other.
type token struct {
	secret  fs.TokenHash
	role    string
	expires fs.Time
	uses    int // left
	keys    []fs.TokenHash
}

func (r *token) wire(c *wire.Coder) {
	command.WireTokenHash(c, &r.secret)
	c.String(&r.role)
	wire.Int(c, &r.expires)
	wire.Int(c, &r.uses)
	wire.Slice(c, &r.keys, command.WireTokenHash)
}

func (c *change) putToken(m *command.PutToken) error {
	t := m.Token
	if len(t.ID) != fs.TokenIDBytes || t.Role == "" || len(t.Role) > fs.TokenWordMax || t.Uses < 1 || t.Uses > fs.TokenUsesMax ||
		t.Expires <= m.Now || t.Expires-m.Now > fs.TokenLifeMax {
		return refuse(fs.ErrInvalid)
	}
	left, err := c.expireTokens(m.Now)
	if err != nil {
		return err
	}
	fresh := token{secret: m.Secret, role: t.Role, expires: t.Expires, uses: t.Uses}
	var old token
	known, err := get(c.kv, tokenKey(t.ID), &old)
	switch {
	case err != nil:
		return err
	case known && (old.secret != fresh.secret || old.role != fresh.role || old.expires != fresh.expires || old.uses+len(old.keys) != fresh.uses):
		return refuse(fs.ErrExist)
	case known:
		return nil
	case left >= fs.TokensMax:
		return refuse(fs.ErrBusy)
	}
	return c.kv.Set(tokenKey(t.ID), encode(&fresh))
}

// expireTokens removes the tokens that have ended, and counts the others.
func (c *change) expireTokens(now fs.Time) (left int, err error) {
	var over [][]byte
	from := []byte{keyToken}
	err = scan(c.kv, from, prefixEnd(from), func(key, value []byte) (bool, error) {
		var t token
		err := decode(value, &t)
		if t.expires <= now {
			over = append(over, slices.Clone(key))
		} else {
			left++
		}
		return true, err
	})
	for _, key := range over {
		if err == nil {
			err = c.kv.Delete(key)
		}
	}
	return left, err
}

func (c *change) redeemToken(m *command.RedeemToken) error {
	if _, err := c.expireTokens(m.Now); err != nil {
		return err
	}
	var t token
	known, err := get(c.kv, tokenKey(m.ID), &t)
	switch {
	case err != nil:
		return err
	case !known:
		return refuse(fs.ErrNotExist)
	case subtle.ConstantTimeCompare(t.secret[:], m.Secret[:]) != 1 || t.role != m.Role:
		return refuse(fs.ErrPermission)
	case slices.Contains(t.keys, m.Key):
		return nil
	case t.uses == 0:
		return refuse(fs.ErrQuota)
	}
	t.uses--
	t.keys = append(t.keys, m.Key)
	return c.kv.Set(tokenKey(m.ID), encode(&t))
}

func (c *change) revokeToken(m *command.RevokeToken) error {
	known, err := has(c.kv, tokenKey(m.ID))
	if err == nil && !known {
		err = refuse(fs.ErrNotExist)
	}
	if err != nil {
		return err
	}
	return c.kv.Delete(tokenKey(m.ID))
}

// Tokens returns the join tokens by id, also those that have expired and are still there.
func (v View) Tokens() ([]fs.JoinToken, error) {
	var list []fs.JoinToken
	err := v.each(keyToken, nil, func(key, value []byte) (bool, error) {
		var t token
		err := decode(value, &t)
		list = append(list, fs.JoinToken{ID: string(key[1:]), Role: t.role, Expires: t.expires, Uses: t.uses})
		return true, err
	})
	return list, err
}

func (a *audit) token(key, value []byte) error {
	var t token
	if err := decode(value, &t); err != nil {
		return err
	}
	if a.tokens++; a.tokens == fs.TokensMax+1 {
		a.fault("there are more than %d join tokens", fs.TokensMax)
	}
	if n := t.uses + len(t.keys); t.uses < 0 || n < 1 || n > fs.TokenUsesMax {
		a.fault("join token %s has %d uses left and has had %d", key[1:], t.uses, len(t.keys))
	}
	seen := map[fs.TokenHash]bool{}
	for _, k := range t.keys {
		seen[k] = true
	}
	if len(seen) < len(t.keys) {
		a.fault("a key has used join token %s twice", key[1:])
	}
	return nil
}
