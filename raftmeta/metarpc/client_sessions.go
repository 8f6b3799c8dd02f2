package metarpc

import (
	"context"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// OpenSession implements fs.Meta.
func (c *Client) OpenSession(ctx context.Context, who fs.Mount) (fs.Session, error) {
	rep, err := unary(ctx, c, "open session", toMount(who), checkMount, metapb.MetaClient.OpenSession)
	return fromSession(rep), err
}

// CloseSession implements fs.Meta.
func (c *Client) CloseSession(ctx context.Context, s fs.Session) error {
	_, err := unary(ctx, c, "close session", toSession(s), checkSession, metapb.MetaClient.CloseSession)
	return err
}

// Pin implements fs.Meta.
func (c *Client) Pin(ctx context.Context, s fs.Session, ino fs.Ino) (fs.Attr, error) {
	req := &metapb.PinRequest{Session: toSession(s), Ino: uint64(ino), Wish: wishOf(ctx)}
	rep, err := unary(ctx, c, "pin", req, checkPin, metapb.MetaClient.Pin)
	return fromAttr(rep.GetAttr()), err
}

// AllocInos implements fs.Meta.
func (c *Client) AllocInos(ctx context.Context, s fs.Session, n int) (fs.InoRange, error) {
	req := &metapb.AllocInosRequest{Session: toSession(s), N: count(n)}
	rep, err := unary(ctx, c, "allot inode numbers", req, checkAllocInos, metapb.MetaClient.AllocInos)
	return fromInoRange(rep), err
}
