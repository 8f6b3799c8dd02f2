package cluster

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"dfs/cluster/clusterpb"
	"dfs/fs"
)

// Hello is who answers at an address.
type Hello struct {
	Node    fs.NodeID
	Cluster string // id; empty for a node that belongs to none
	Version string
}

// ServiceConfig makes the service by which nodes ask each other who they are and found a cluster.
type ServiceConfig struct {
	Node    fs.NodeID
	Version string
	Cluster func() string // id of the node's cluster, empty for none
	// Promise answers proposals; nil for a node that is not a candidate.
	Promise func(ctx context.Context, p *Proposal, bind bool) error
}

// RegisterService adds the service to a node's gRPC server.
func RegisterService(s grpc.ServiceRegistrar, cfg ServiceConfig) {
	clusterpb.RegisterClusterServer(s, &service{cfg: cfg})
}

type service struct {
	clusterpb.UnimplementedClusterServer
	cfg ServiceConfig
}

func (s *service) Hello(context.Context, *clusterpb.HelloRequest) (*clusterpb.HelloReply, error) {
	return &clusterpb.HelloReply{Node: string(s.cfg.Node), Cluster: s.cfg.Cluster(), Version: s.cfg.Version}, nil
}

func (s *service) Promise(ctx context.Context, req *clusterpb.PromiseRequest) (*clusterpb.PromiseReply, error) {
	err := s.promise(ctx, fromProto(req.GetProposal()), req.GetBind())
	if err == nil {
		return &clusterpb.PromiseReply{Verdict: clusterpb.Verdict_VERDICT_YES}, nil
	}
	reply := &clusterpb.PromiseReply{Verdict: clusterpb.Verdict_VERDICT_LATER, Reason: err.Error()}
	if r, ok := errors.AsType[*RefusalError](err); ok {
		reply.Verdict, reply.Cluster, reply.Held = verdictProto(r.Verdict), r.Cluster, toProto(r.Held)
	}
	return reply, nil
}

func (s *service) promise(ctx context.Context, p *Proposal, bind bool) error {
	if own := s.cfg.Cluster(); own != "" {
		r := refusal(VerdictMember, "node %s belongs to cluster %s", s.cfg.Node, own)
		r.Cluster = own
		return r
	}
	if s.cfg.Promise == nil {
		return refusal(VerdictInvalid, "node %s was started without --bootstrap-expect", s.cfg.Node)
	}
	return s.cfg.Promise(ctx, p, bind)
}

// SayHello asks who is at addr. fs.ErrWrongCluster, with the answer beside it, if both sides belong to a cluster and
// not to the same; fs.ErrUnavailable if nobody answers.
func SayHello(ctx context.Context, d *Dialer, addr string, self Hello) (Hello, error) {
	conn, err := d.DialGRPC(addr)
	if err != nil {
		return Hello{}, err
	}
	reply, err := clusterpb.NewClusterClient(conn).Hello(ctx, &clusterpb.HelloRequest{
		Node: string(self.Node), Cluster: self.Cluster, Version: self.Version,
	})
	if err != nil {
		return Hello{}, fmt.Errorf("say hello to %s: %w: %w", addr, err, fs.ErrUnavailable)
	}
	h := Hello{Node: fs.NodeID(reply.GetNode()), Cluster: reply.GetCluster(), Version: reply.GetVersion()}
	if h.Cluster != "" && self.Cluster != "" && h.Cluster != self.Cluster {
		return h, fmt.Errorf("node %s at %s belongs to cluster %s, not to %s: %w", h.Node, addr, h.Cluster, self.Cluster, fs.ErrWrongCluster)
	}
	return h, nil
}

// PromiseOver is [BootstrapConfig].Promise over gRPC.
func PromiseOver(d *Dialer) func(ctx context.Context, f Founder, p *Proposal, bind bool) error {
	return func(ctx context.Context, f Founder, p *Proposal, bind bool) error {
		conn, err := d.DialGRPC(f.Addr)
		if err != nil {
			return err
		}
		reply, err := clusterpb.NewClusterClient(conn).Promise(ctx, &clusterpb.PromiseRequest{Proposal: toProto(p), Bind: bind})
		if err != nil {
			return fmt.Errorf("%w: %w", err, fs.ErrUnavailable)
		}
		if reply.GetVerdict() == clusterpb.Verdict_VERDICT_YES {
			return nil
		}
		r := &RefusalError{Verdict: verdictFrom(reply.GetVerdict()), Reason: reply.GetReason(), Cluster: reply.GetCluster()}
		if reply.GetHeld() != nil {
			r.Held = fromProto(reply.GetHeld())
		}
		return r
	}
}

func verdictProto(v Verdict) clusterpb.Verdict {
	switch v {
	case VerdictBound:
		return clusterpb.Verdict_VERDICT_BOUND
	case VerdictMember:
		return clusterpb.Verdict_VERDICT_MEMBER
	case VerdictInvalid:
		return clusterpb.Verdict_VERDICT_INVALID
	}
	return clusterpb.Verdict_VERDICT_LATER
}

// verdictFrom takes what it does not know, from a newer version, for a passing refusal.
func verdictFrom(v clusterpb.Verdict) Verdict {
	switch v {
	case clusterpb.Verdict_VERDICT_BOUND:
		return VerdictBound
	case clusterpb.Verdict_VERDICT_MEMBER:
		return VerdictMember
	case clusterpb.Verdict_VERDICT_INVALID:
		return VerdictInvalid
	}
	return VerdictLater
}

func toProto(p *Proposal) *clusterpb.Proposal {
	if p == nil {
		return nil
	}
	m := &clusterpb.Proposal{Cluster: p.Cluster}
	for _, f := range p.Founders {
		m.Founders = append(m.Founders, &clusterpb.Founder{Node: string(f.ID), Addr: f.Addr})
	}
	return m
}

func fromProto(m *clusterpb.Proposal) *Proposal {
	p := &Proposal{Cluster: m.GetCluster()}
	for _, f := range m.GetFounders() {
		p.Founders = append(p.Founders, Founder{ID: fs.NodeID(f.GetNode()), Addr: f.GetAddr()})
	}
	return p
}
