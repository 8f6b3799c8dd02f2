package blobrpc

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"dfs/blob"
	"dfs/blob/blobpb"
	"dfs/cluster/rpcerr"
	"dfs/fs"
)

// Client is the store of one other node.
type Client struct {
	conn grpc.ClientConnInterface
	rpc  blobpb.BlobsClient
	node fs.NodeID
	opts []grpc.CallOption
}

var _ blob.Store = (*Client)(nil)

// NewClient returns node's store behind conn, which stays the caller's to close. Calls wait as long as their context
// does, also for their turn (ConcurrentCalls); they do not wait for a connection that is down, but fail with
// ErrUnavailable.
func NewClient(conn grpc.ClientConnInterface, node fs.NodeID) *Client {
	conn = &bounded{conn, make(chan struct{}, ConcurrentCalls)}
	return &Client{
		conn: conn, rpc: blobpb.NewBlobsClient(conn), node: node,
		opts: []grpc.CallOption{
			grpc.ForceCodecV2(Codec()),
			grpc.MaxCallSendMsgSize(MessageBytesMax), grpc.MaxCallRecvMsgSize(MessageBytesMax),
		},
	}
}

// Node is whose store this is.
func (c *Client) Node() fs.NodeID { return c.node }

func (c *Client) to(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, nodeHeader, string(c.node))
}

func (c *Client) failed(what string, err error) error {
	return fmt.Errorf("node %s: %s: %w", c.node, what, rpcerr.FromStatus(err))
}

// Stage implements blob.Store.
func (c *Client) Stage(ctx context.Context, tx blob.Tx, b *blob.Blob) ([]fs.NodeID, error) {
	if len(b.Data) > fs.BlobMax {
		return nil, fmt.Errorf("node %s: stage blob %s of %d bytes: %w", c.node, b.ID, len(b.Data), fs.ErrTooLarge)
	}
	req := &bulkStage{req: &blobpb.StageRequest{Tx: txToPB(tx), Id: idToPB(b.ID), Sums: b.Sums}, data: b.Data}
	reply := new(blobpb.StageReply)
	err := c.conn.Invoke(c.to(ctx), blobpb.Blobs_Stage_FullMethodName, req, reply, c.opts...)
	if err != nil {
		if !req.wait() {
			err = fmt.Errorf("%w (and the transport keeps the blob's bytes)", err)
		}
		return nil, c.failed("stage blob "+b.ID.String(), err)
	}
	// A vote counts for the node that was asked, and for no other.
	if len(reply.Voters) != 1 || fs.NodeID(reply.Voters[0]) != c.node {
		return nil, fmt.Errorf("node %s: stage blob %s: the answer is a vote of %q: %w", c.node, b.ID, reply.Voters, fs.ErrInternal)
	}
	return []fs.NodeID{c.node}, nil
}

// Commit implements blob.Store.
func (c *Client) Commit(ctx context.Context, ids []fs.BlobID) error {
	return inParts(ctx, c, "commit", ids, func(ctx context.Context, part []fs.BlobID) error {
		_, err := c.rpc.Commit(ctx, &blobpb.CommitRequest{Ids: idsToPB(part)}, c.opts...)
		return err
	})
}

// Delete implements blob.Store.
func (c *Client) Delete(ctx context.Context, ids []fs.BlobID) error {
	return inParts(ctx, c, "delete", ids, func(ctx context.Context, part []fs.BlobID) error {
		_, err := c.rpc.Delete(ctx, &blobpb.DeleteRequest{Ids: idsToPB(part)}, c.opts...)
		return err
	})
}

// Drop implements blob.Store.
func (c *Client) Drop(ctx context.Context, staged []blob.Staged) error {
	return inParts(ctx, c, "drop", staged, func(ctx context.Context, part []blob.Staged) error {
		req := &blobpb.DropRequest{Staged: make([]*blobpb.Staged, len(part))}
		for i, s := range part {
			req.Staged[i] = &blobpb.Staged{Id: idToPB(s.ID), Tx: txToPB(blob.Tx{ID: s.Tx})}
		}
		_, err := c.rpc.Drop(ctx, req, c.opts...)
		return err
	})
}

// inParts makes one call for every IDsMax items.
func inParts[T any](ctx context.Context, c *Client, what string, items []T, call func(context.Context, []T) error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("node %s: %s: %w", c.node, what, context.Cause(ctx))
	}
	ctx = c.to(ctx)
	for part := range slices.Chunk(items, IDsMax) {
		if err := call(ctx, part); err != nil {
			return c.failed(what, err)
		}
	}
	return nil
}

// Get implements blob.Store. The bytes are as the network brought them: Range.VerifyFor is what makes them trustworthy.
func (c *Client) Get(ctx context.Context, info *fs.BlobInfo, off, n uint32) (*blob.Range, error) {
	req := &blobpb.GetRequest{Id: idToPB(info.ID), Length: info.Length, Sum: info.Sum, Off: off, N: n}
	if claim, ok := blob.ClaimOf(ctx); ok {
		req.Claim = claimToPB(claim)
	}
	reply, err := c.rpc.Get(c.to(ctx), req, c.opts...)
	if err != nil {
		return nil, c.failed("get blob "+info.ID.String(), err)
	}
	return &blob.Range{Off: reply.Off, Data: reply.Data, Sums: reply.Sums}, nil
}

// List implements blob.Store.
func (c *Client) List(ctx context.Context, after fs.BlobID, limit int) ([]blob.Entry, error) {
	if err := blob.CheckLimit(limit); err != nil {
		return nil, fmt.Errorf("node %s: %w", c.node, err)
	}
	reply, err := c.rpc.List(c.to(ctx), &blobpb.ListRequest{After: idToPB(after), Limit: uint32(limit)}, c.opts...)
	if err != nil {
		return nil, c.failed("list", err)
	}
	list := make([]blob.Entry, len(reply.Entries))
	for i, p := range reply.Entries {
		list[i] = entryFromPB(p)
		if !after.Less(list[i].ID) || i >= limit {
			return nil, fmt.Errorf("node %s: list: entry %d (%s) is out of order or too many: %w", c.node, i, list[i].ID, fs.ErrInternal)
		}
		after = list[i].ID
	}
	return list, nil
}

// Usage implements blob.Store.
func (c *Client) Usage(ctx context.Context) (blob.Usage, error) {
	u, err := c.rpc.Usage(c.to(ctx), &blobpb.Empty{}, c.opts...)
	if err != nil {
		return blob.Usage{}, c.failed("usage", err)
	}
	return blob.Usage{
		TotalBytes: u.TotalBytes, FreeBytes: u.FreeBytes, UsedBytes: u.UsedBytes,
		Blobs: u.Blobs, Staged: u.Staged, ReadOnly: u.ReadOnly,
	}, nil
}
