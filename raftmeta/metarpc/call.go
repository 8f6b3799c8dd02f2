package metarpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"dfs/cluster/rpcerr"
	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// attempt is one try of a call at one node.
type attempt func(ctx context.Context, v view, conn grpc.ClientConnInterface) error

// retry makes attempts at the leader until the cluster answers or time is over; see DESIGN.md.
func (c *Client) retry(ctx context.Context, what string, try attempt) error {
	opctx, cancel := context.WithTimeout(ctx, c.cfg.OpTimeout)
	defer cancel()
	defer context.AfterFunc(c.base, cancel)() // Close ends what is under way
	var wait backoff
	patience := c.firstPatience(ctx)
	doubt := false // an earlier attempt may have been carried out
	for {
		v, err := c.finder.find(opctx)
		if err != nil {
			return c.ended(ctx, opctx, what, err)
		}
		actx, cancel := context.WithTimeout(opctx, patience)
		settled := c.suspect(actx, v, cancel)
		err = c.attempt(actx, v, try)
		settled()
		again, err := elsewhere(err)
		late := err != nil && (actx.Err() != nil || errors.Is(err, errLate))
		cancel()
		switch {
		case err == nil:
			return nil
		case opctx.Err() != nil:
			return c.ended(ctx, opctx, what, err)
		case late:
			err = noAnswer(patience)
			patience = min(2*patience, c.cfg.OpTimeout)
		case !again && doubt && errors.Is(err, fs.ErrFenced):
			return fmt.Errorf("%w (an earlier attempt was not answered: %w)", err, fs.ErrUnavailable)
		case !again:
			return err
		}
		doubt = doubt || fs.CodeOf(err) != fs.CodeNotLeader
		c.finder.distrust(v, hintOf(err), err)
		if err := wait.sleep(opctx); err != nil {
			return c.ended(ctx, opctx, what, err)
		}
	}
}

// suspect has the leader doubted, again and again, while an answer is waited for; call ends it. As soon as another one is found the wait is given up.
func (c *Client) suspect(ctx context.Context, v view, giveUp func()) (call func()) {
	ctx, cancel := context.WithCancel(ctx)
	waiting := time.AfterFunc(c.cfg.doubtAfter(), func() {
		for ctx.Err() == nil {
			if c.finder.doubt(ctx, v) {
				giveUp()
				return
			}
			select {
			case <-time.After(c.cfg.doubtAfter()):
			case <-ctx.Done():
			}
		}
	})
	return func() {
		waiting.Stop()
		cancel()
	}
}

// firstPatience bounds a call's first attempt: half of the caller's own time if that is little, so that a leader that hangs
// leaves time to find another one.
func (c *Client) firstPatience(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return min(c.cfg.AttemptTimeout, time.Until(end)/2)
	}
	return c.cfg.AttemptTimeout
}

func (c *Client) attempt(ctx context.Context, v view, try attempt) error {
	conn, err := c.cfg.Dial(v.addr)
	if err != nil {
		return fmt.Errorf("dial: %v: %w", err, fs.ErrUnavailable)
	}
	return try(ctx, v, conn)
}

// ended is the error of a call that was not answered: the caller's own, the Client's, or time.
func (c *Client) ended(ctx, opctx context.Context, what string, last error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("metadata: %s: %w (%s)", what, ctx.Err(), c.finder.report())
	case c.base.Err() != nil:
		return fmt.Errorf("metadata: %s: client: %w", what, fs.ErrClosed)
	case opctx.Err() != nil:
		return fmt.Errorf("metadata: %s: no answer within %v (%s): %w", what, c.cfg.OpTimeout, c.finder.report(), fs.ErrUnavailable)
	}
	return last
}

// errLate is an attempt's deadline as either end saw it: their clocks do not run out at the same instant.
var errLate = errors.New("no answer in time")

// elsewhere says whether err means "ask again, perhaps another node", and turns it into an fs error.
func elsewhere(err error) (bool, error) {
	if err == nil {
		return false, nil
	}
	if errors.Is(err, io.EOF) {
		return true, fmt.Errorf("the connection ended: %w", fs.ErrUnavailable)
	}
	if s, ok := status.FromError(err); ok && len(s.Details()) == 0 && s.Code() != codes.ResourceExhausted {
		if s.Code() == codes.DeadlineExceeded {
			return true, fmt.Errorf("%w: %w", errLate, fs.ErrTimeout)
		}
		// No details: gRPC says it, not the cluster. The connection broke, the node is stopping, or it does not serve
		// the metadata yet. Only a message that is too large will be so everywhere.
		return true, rpcerr.Unreached(s)
	}
	err = rpcerr.FromStatus(err)
	switch fs.CodeOf(err) {
	case fs.CodeNotLeader, fs.CodeUnavailable, fs.CodeTimeout, fs.CodeClosed:
		return true, err
	}
	return false, err
}

// method is a unary call of either service, as a method expression of its stub.
type method[Stub, Req, Rep any] func(Stub, context.Context, Req, ...grpc.CallOption) (Rep, error)

// unary checks a request and makes it at the leader.
func unary[Req, Rep any](ctx context.Context, c *Client, what string, req Req, check func(Req) error,
	m method[metapb.MetaClient, Req, Rep]) (rep Rep, err error) {
	if err := check(req); err != nil {
		return rep, err
	}
	err = c.retry(ctx, what, func(ctx context.Context, _ view, conn grpc.ClientConnInterface) (err error) {
		rep, err = m(metapb.NewMetaClient(conn), ctx, req, callOptions()...)
		return err
	})
	if err == nil {
		granted(ctx, rep)
	}
	return rep, err
}
