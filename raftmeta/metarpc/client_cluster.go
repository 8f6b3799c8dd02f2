package metarpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// Join implements fs.Membership, at the leader.
func (c *Client) Join(ctx context.Context, node fs.NodeInfo, cluster string) (string, error) {
	req := &metapb.JoinRequest{Node: toNodeInfo(node), Cluster: cluster}
	if err := checkJoin(req); err != nil {
		return "", err
	}
	var rep *metapb.JoinReply
	err := c.retry(ctx, "join", func(ctx context.Context, _ view, conn grpc.ClientConnInterface) (err error) {
		rep, err = metapb.NewClusterClient(conn).Join(ctx, req, callOptions()...)
		return err
	})
	return rep.GetCluster(), err
}

// Removal implements fs.Membership, at the leader.
func (c *Client) Removal(ctx context.Context, node fs.NodeID) (*fs.Removal, error) {
	req := &metapb.RemovalRequest{Node: string(node)}
	if err := checkRemoval(req); err != nil {
		return nil, err
	}
	var rep *metapb.RemovalReply
	err := c.retry(ctx, "removal", func(ctx context.Context, _ view, conn grpc.ClientConnInterface) (err error) {
		rep, err = metapb.NewClusterClient(conn).Removal(ctx, req, callOptions()...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return fromRemoval(rep), nil
}

// RemoveNode implements fs.Membership, at the leader.
func (c *Client) RemoveNode(ctx context.Context, node fs.NodeID, force bool) error {
	req := &metapb.RemoveNodeRequest{Node: string(node), Force: force}
	if err := checkRemoveNode(req); err != nil {
		return err
	}
	return c.retry(ctx, "remove node", func(ctx context.Context, _ view, conn grpc.ClientConnInterface) error {
		_, err := metapb.NewClusterClient(conn).RemoveNode(ctx, req, callOptions()...)
		return err
	})
}

// Admin asks the node at addr and no other.
func (c *Client) Admin(addr string) fs.Admin { return &admin{c, []string{addr}} }

// Status implements fs.Admin at the first node that answers, as those below do.
func (c *Client) Status(ctx context.Context) (*fs.Status, error) { return c.anyone().Status(ctx) }

// Transactions implements fs.Admin.
func (c *Client) Transactions(ctx context.Context, limit int) ([]fs.TxStatus, error) {
	return c.anyone().Transactions(ctx, limit)
}

// Transaction implements fs.Admin.
func (c *Client) Transaction(ctx context.Context, id fs.TxID) (*fs.TxStatus, error) {
	return c.anyone().Transaction(ctx, id)
}

// Raft implements fs.Admin.
func (c *Client) Raft(ctx context.Context) (*fs.RaftStatus, error) { return c.anyone().Raft(ctx) }

// Explain implements fs.Admin.
func (c *Client) Explain(ctx context.Context, path string) (*fs.Explanation, error) {
	return c.anyone().Explain(ctx, path)
}

func (c *Client) anyone() *admin { return &admin{c, c.peers.list()} }

// admin asks nodes in turn, each once.
type admin struct {
	client *Client
	addrs  []string
}

func (a *admin) Status(ctx context.Context) (*fs.Status, error) {
	rep, err := ask(ctx, a, "status", &metapb.Empty{}, unchecked, metapb.ClusterClient.Status)
	if err != nil {
		return nil, err
	}
	return fromStatus(rep), nil
}

func (a *admin) Transactions(ctx context.Context, limit int) ([]fs.TxStatus, error) {
	req := &metapb.TransactionsRequest{Limit: count(limit)}
	rep, err := ask(ctx, a, "transactions", req, checkTransactions, metapb.ClusterClient.Transactions)
	return each(rep.GetTransactions(), fromTxStatus), err
}

func (a *admin) Transaction(ctx context.Context, id fs.TxID) (*fs.TxStatus, error) {
	rep, err := ask(ctx, a, "transaction "+id.String(), toTxID(id), checkTxID, metapb.ClusterClient.Transaction)
	if err != nil {
		return nil, err
	}
	t := fromTxStatus(rep)
	return &t, nil
}

func (a *admin) Raft(ctx context.Context) (*fs.RaftStatus, error) {
	rep, err := ask(ctx, a, "raft status", &metapb.Empty{}, unchecked, metapb.ClusterClient.Raft)
	if err != nil {
		return nil, err
	}
	return fromRaft(rep), nil
}

func (a *admin) Explain(ctx context.Context, path string) (*fs.Explanation, error) {
	rep, err := ask(ctx, a, "explain", &metapb.ExplainRequest{Path: []byte(path)}, checkExplain, metapb.ClusterClient.Explain)
	if err != nil {
		return nil, err
	}
	return fromExplanation(rep), nil
}

// ask goes to the next address when one cannot answer. A node without a quorum needs its time to find that out: each
// gets twice an attempt's.
func ask[Req, Rep any](ctx context.Context, a *admin, what string, req Req, check func(Req) error,
	m method[metapb.ClusterClient, Req, Rep]) (rep Rep, err error) {
	if err := check(req); err != nil {
		return rep, err
	}
	opctx, cancel := context.WithTimeout(ctx, a.client.cfg.OpTimeout)
	defer cancel()
	defer context.AfterFunc(a.client.base, cancel)()
	var causes []string
	for _, addr := range a.addrs {
		again, err := false, error(nil)
		rep, again, err = askOne(opctx, a.client, addr, req, m)
		if err == nil {
			return rep, nil
		}
		if opctx.Err() != nil || !again {
			return rep, a.client.ended(ctx, opctx, what, err)
		}
		causes = append(causes, fmt.Sprintf("%s: %v", addr, err))
	}
	return rep, &unansweredError{causes}
}

// unansweredError is an fs.ErrUnavailable: no node was reached.
type unansweredError struct{ causes []string } // one an address

func (e *unansweredError) Error() string {
	return "no node answers (is dfsnode running there?): " + strings.Join(e.causes, "; ")
}

func (e *unansweredError) Unwrap() error { return fs.ErrUnavailable }

func askOne[Req, Rep any](ctx context.Context, c *Client, addr string, req Req, m method[metapb.ClusterClient, Req, Rep]) (rep Rep, again bool, err error) {
	actx, cancel := context.WithTimeout(ctx, 2*c.cfg.AttemptTimeout)
	defer cancel()
	conn, err := c.cfg.Dial(addr)
	if err != nil {
		return rep, true, err
	}
	rep, err = m(metapb.NewClusterClient(conn), actx, req, callOptions()...)
	again, err = elsewhere(err)
	if err != nil && (actx.Err() != nil || errors.Is(err, errLate)) {
		return rep, true, noAnswer(2 * c.cfg.AttemptTimeout)
	}
	return rep, again, err
}
