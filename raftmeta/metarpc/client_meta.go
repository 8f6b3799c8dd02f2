package metarpc

import (
	"context"
	"math"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/metapb"
)

// Commit implements fs.Meta. The transaction is encoded once; every attempt sends the same bytes.
func (c *Client) Commit(ctx context.Context, tx *fs.Tx) (*fs.TxResult, error) {
	req := &metapb.CommitRequest{Command: command.Encode(&command.Tx{Tx: *tx}), Wish: wishOf(ctx)}
	rep, err := unary(ctx, c, "commit "+tx.ID.String(), req, checkCommit, metapb.MetaClient.Commit)
	return decodeResult(rep, err)
}

// checkCommit is what a client can tell without decoding what it has just encoded.
func checkCommit(r *metapb.CommitRequest) error {
	if len(r.GetCommand()) > fs.TxBytesMax {
		return tooLong(len(r.GetCommand()))
	}
	return nil
}

// Abort implements fs.Meta.
func (c *Client) Abort(ctx context.Context, epoch fs.Epoch, tx fs.TxID) (*fs.TxResult, error) {
	req := &metapb.AbortRequest{Tx: toTxID(tx), Epoch: uint64(epoch)}
	rep, err := unary(ctx, c, "abort "+tx.String(), req, checkAbort, metapb.MetaClient.Abort)
	return decodeResult(rep, err)
}

func decodeResult(rep *metapb.CommitReply, err error) (*fs.TxResult, error) {
	if err != nil {
		return nil, err
	}
	return command.DecodeResult(rep.GetResult())
}

// Lookup implements fs.Meta.
func (c *Client) Lookup(ctx context.Context, dir fs.Ino, name string) (fs.Attr, error) {
	req := &metapb.LookupRequest{Dir: uint64(dir), Name: []byte(name), Wish: wishOf(ctx)}
	rep, err := unary(ctx, c, "lookup", req, checkLookup, metapb.MetaClient.Lookup)
	return fromAttr(rep.GetAttr()), err
}

// Getattr implements fs.Meta.
func (c *Client) Getattr(ctx context.Context, ino fs.Ino) (fs.Attr, error) {
	rep, err := unary(ctx, c, "getattr", inoRequest(ctx, ino), checkInoRequest, metapb.MetaClient.Getattr)
	return fromAttr(rep.GetAttr()), err
}

// Readdir implements fs.Meta.
func (c *Client) Readdir(ctx context.Context, dir fs.Ino, after fs.Cookie, limit int) (fs.Listing, error) {
	req := &metapb.ReaddirRequest{Dir: uint64(dir), After: uint64(after), Limit: count(limit), Wish: wishOf(ctx)}
	rep, err := unary(ctx, c, "readdir", req, checkReaddir, metapb.MetaClient.Readdir)
	return fromListing(rep), err
}

// Readlink implements fs.Meta.
func (c *Client) Readlink(ctx context.Context, ino fs.Ino) (string, error) {
	rep, err := unary(ctx, c, "readlink", inoRequest(ctx, ino), checkInoRequest, metapb.MetaClient.Readlink)
	return string(rep.GetTarget()), err
}

// Layout implements fs.Meta.
func (c *Client) Layout(ctx context.Context, ino fs.Ino, off, length uint64) (*fs.Layout, error) {
	req := &metapb.LayoutRequest{Ino: uint64(ino), Off: off, Length: length, Wish: wishOf(ctx)}
	rep, err := unary(ctx, c, "layout", req, checkLayout, metapb.MetaClient.Layout)
	if err != nil {
		return nil, err
	}
	return fromLayout(rep), nil
}

// Getxattr implements fs.Meta.
func (c *Client) Getxattr(ctx context.Context, ino fs.Ino, name string) ([]byte, error) {
	req := &metapb.XattrRequest{Ino: uint64(ino), Name: []byte(name), Wish: wishOf(ctx)}
	rep, err := unary(ctx, c, "getxattr", req, checkXattr, metapb.MetaClient.Getxattr)
	return rep.GetValue(), err
}

// Listxattr implements fs.Meta.
func (c *Client) Listxattr(ctx context.Context, ino fs.Ino) ([]string, error) {
	rep, err := unary(ctx, c, "listxattr", inoRequest(ctx, ino), checkInoRequest, metapb.MetaClient.Listxattr)
	return each(rep.GetNames(), fromBytes), err
}

// Statfs implements fs.Meta.
func (c *Client) Statfs(ctx context.Context, ino fs.Ino) (fs.Statfs, error) {
	rep, err := unary(ctx, c, "statfs", &metapb.InoRequest{Ino: uint64(ino)}, checkInoRequest, metapb.MetaClient.Statfs)
	return fromStatfs(rep), err
}

func inoRequest(ctx context.Context, ino fs.Ino) *metapb.InoRequest {
	return &metapb.InoRequest{Ino: uint64(ino), Wish: wishOf(ctx)}
}

// count keeps a number that does not fit out of range, where the checks find it.
func count(n int) uint32 {
	if n < 0 || n > math.MaxUint32 {
		return math.MaxUint32
	}
	return uint32(n)
}
