package command

import (
	"errors"
	"fmt"

	"dfs/fs"
	"dfs/fs/wire"
)

// Version is the format of batches that this build writes, and the newest that it reads.
const Version = 1

// ErrUnknown says that an entry is of a newer version or kind than this build knows: the node must stop and be upgraded.
var ErrUnknown = errors.New("log entry of an unknown version or kind; upgrade this node")

// Batch is one log entry: encoded commands, each as Encode makes them.
type Batch [][]byte

// Encode is the binary form of one command.
func Encode(cmd Command) []byte {
	c := wire.Encoder(nil)
	k := cmd.kind()
	wire.Uint(c, &k)
	wireCommand(c, cmd)
	return c.Bytes()
}

// Decode is the inverse of Encode: ErrUnknown for a kind from the future, wire.ErrMalformed for rubbish.
func Decode(data []byte) (Command, error) {
	c := wire.Decoder(data)
	var k kind
	wire.Uint(c, &k)
	if c.Err() != nil {
		return nil, fmt.Errorf("decode command: %w", c.Err())
	}
	cmd := newCommand(k)
	if cmd == nil {
		return nil, fmt.Errorf("command kind %d: %w", k, ErrUnknown)
	}
	wireCommand(c, cmd)
	if err := c.End(); err != nil {
		return nil, fmt.Errorf("decode command of kind %d: %w", k, err)
	}
	return cmd, nil
}

// EncodeBatch makes the log entry.
func EncodeBatch(b Batch) []byte {
	size := 8
	for _, e := range b {
		size += len(e) + 4
	}
	c := wire.Encoder(make([]byte, 0, size))
	v := uint64(Version)
	c.Uint64(&v)
	s := [][]byte(b)
	wire.Slice(c, &s, (*wire.Coder).Blob)
	return c.Bytes()
}

// DecodeBatch is the inverse of EncodeBatch; it does not decode the commands.
func DecodeBatch(data []byte) (Batch, error) {
	c := wire.Decoder(data)
	var v uint64
	c.Uint64(&v)
	if c.Err() == nil && v != Version {
		return nil, fmt.Errorf("log entry version %d, this build knows %d: %w", v, Version, ErrUnknown)
	}
	var s [][]byte
	wire.Slice(c, &s, (*wire.Coder).Blob)
	if err := c.End(); err != nil {
		return nil, fmt.Errorf("decode log entry: %w", err)
	}
	return s, nil
}

// EncodeResult is the binary form of a transaction's answer, as it is remembered and sent.
func EncodeResult(r *fs.TxResult) []byte {
	c := wire.Encoder(nil)
	wireResult(c, r)
	return c.Bytes()
}

// DecodeResult is the inverse of EncodeResult.
func DecodeResult(data []byte) (*fs.TxResult, error) {
	c := wire.Decoder(data)
	r := &fs.TxResult{}
	wireResult(c, r)
	if err := c.End(); err != nil {
		return nil, fmt.Errorf("decode transaction result: %w", err)
	}
	return r, nil
}

func newCommand(k kind) Command {
	switch k {
	case kindTx:
		return &Tx{}
	case kindInit:
		return &Init{}
	case kindOpenSession:
		return &OpenSession{}
	case kindEndSession:
		return &EndSession{}
	case kindAllocInos:
		return &AllocInos{}
	case kindAbort:
		return &Abort{}
	case kindReap:
		return &Reap{}
	case kindForget:
		return &Forget{}
	case kindSetReplicas:
		return &SetReplicas{}
	case kindPutNode:
		return &PutNode{}
	case kindRemoveNode:
		return &RemoveNode{}
	case kindPutToken:
		return &PutToken{}
	case kindRedeemToken:
		return &RedeemToken{}
	case kindRevokeToken:
		return &RevokeToken{}
	case kindKeepAccounts:
		return &KeepAccounts{}
	case kindSetQuota:
		return &SetQuota{}
	case kindSurvey:
		return &Survey{}
	}
	return nil
}

func wireCommand(c *wire.Coder, cmd Command) {
	switch m := cmd.(type) {
	case *Tx:
		wireTx(c, &m.Tx)
	case *Init:
		c.String(&m.Cluster)
		wire.Int(c, &m.Time)
		wire.Int(c, &m.Replicas)
		wire.Int(c, &m.MinReplicas)
		wire.Int(c, &m.InlineMax)
		c.Int64(&m.SessionTimeout)
		wire.Slice(c, &m.Founders, wireNode)
	case *OpenSession:
		WireMount(c, &m.Mount)
		WireOwner(c, &m.Owner)
	case *EndSession:
		wire.Uint(c, &m.Session)
		wire.Uint(c, &m.Epoch)
		c.Bool(&m.Expired)
	case *AllocInos:
		wire.Uint(c, &m.Session)
		wire.Uint(c, &m.Epoch)
		wire.Int(c, &m.N)
	case *Abort:
		wireTxID(c, &m.Tx)
		wire.Uint(c, &m.Epoch)
	case *Reap:
		wire.Slice(c, &m.Inos, wire.Uint[fs.Ino])
		wire.Int(c, &m.Extents)
	case *Forget:
		wire.Slice(c, &m.Blobs, WireBlobID)
	case *SetReplicas:
		WireBlobID(c, &m.Blob)
		wire.Slice(c, &m.Add, WireNodeID)
		wire.Slice(c, &m.Remove, WireNodeID)
	case *PutNode:
		wireNode(c, &m.Node)
		c.Bool(&m.Storing)
	case *RemoveNode:
		WireNodeID(c, &m.Node)
	case *PutToken:
		c.String(&m.Token.ID)
		c.String(&m.Token.Role)
		wire.Int(c, &m.Token.Expires)
		wire.Int(c, &m.Token.Uses)
		WireTokenHash(c, &m.Secret)
		wire.Int(c, &m.Now)
	case *RedeemToken:
		c.String(&m.ID)
		WireTokenHash(c, &m.Secret)
		c.String(&m.Role)
		WireTokenHash(c, &m.Key)
		wire.Int(c, &m.Now)
	case *RevokeToken:
		c.String(&m.ID)
	case *KeepAccounts:
	case *SetQuota:
		c.Bool(&m.Of.User)
		wire.Uint(c, &m.Of.UID)
		c.String(&m.Of.Path)
		c.Bool(&m.Change.SetBytes)
		c.Bool(&m.Change.SetInodes)
		c.Uint64(&m.Change.Limits.Bytes)
		c.Uint64(&m.Change.Limits.Inodes)
		c.Bool(&m.Remove)
	case *Survey:
		wire.Int(c, &m.Inodes)
	default:
		panic(fmt.Sprintf("command: no codec for %T", cmd))
	}
}

func wireNode(c *wire.Coder, n *fs.NodeInfo) {
	WireNodeID(c, &n.ID)
	c.String(&n.Addr)
	c.String(&n.Zone)
}

func wireTx(c *wire.Coder, t *fs.Tx) {
	wireTxID(c, &t.ID)
	wire.Uint(c, &t.Epoch)
	c.Uint64(&t.Done)
	wire.Slice(c, &t.Ops, wireOp)
	wire.Slice(c, &t.Blobs, WireBlobInfo)
	wire.Int(c, &t.Replicas)
}

func wireResult(c *wire.Coder, r *fs.TxResult) {
	wire.Uint(c, &r.Err)
	wire.Int(c, &r.Failed)
	wire.Slice(c, &r.Results, func(c *wire.Coder, r *fs.Result) {
		WireAttr(c, &r.Attr)
		WireAttr(c, &r.Parent)
		WireAttr(c, &r.Replaced)
		c.Uint64(&r.N)
	})
	c.Uint64(&r.Index)
}
