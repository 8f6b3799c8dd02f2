package cluster

import (
	"context"
	"fmt"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the standard codec
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/tap"

	"dfs/fs"
	"dfs/fs/spans"
)

// ServerConfig makes a Server.
type ServerConfig struct {
	Log    *slog.Logger     // says why calls are refused; nil: none
	Codec  encoding.CodecV2 // nil: protobuf's
	Tracer spans.Tracer     // of calls that are part of a trace; nil: none
	// Interceptors see the calls that are let in, with their requests.
	Interceptors []grpc.UnaryServerInterceptor
}

// Server is the gRPC server on [Transport.GRPCListener]. It matches what clients of a Dialer expect, refuses what a peer's
// certificate does not allow, and bounds what peers can make it hold; see DESIGN.md.
//
// To gRPC all methods are streams: their handlers begin before the request has been received, and may so decide when it is.
type Server struct {
	*grpc.Server
	intake    *intake
	intercept grpc.UnaryServerInterceptor
}

var _ grpc.ServiceRegistrar = (*Server)(nil)

// NewServer makes a Server. Stop it.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Codec == nil {
		cfg.Codec = encoding.GetCodecV2("proto")
	}
	in := newIntake(logger(cfg.Log))
	g := &gate{intake: in}
	return &Server{
		intake:    in,
		intercept: chain(append([]grpc.UnaryServerInterceptor{takeUnary(cfg.Tracer), identify}, cfg.Interceptors...)),
		Server: grpc.NewServer(
			grpc.Creds(accepted{}),
			grpc.InTapHandle(g.tap),
			grpc.ForceServerCodecV2(boundedCodec{cfg.Codec}),
			grpc.MaxConcurrentStreams(streamsMax),
			grpc.MaxHeaderListSize(headersMax),
			grpc.MaxRecvMsgSize(receiveMax),
			grpc.MaxSendMsgSize(MessageMax),
			grpc.InitialWindowSize(requestWindow),
			grpc.InitialConnWindowSize(connWindow),
			grpc.ReadBufferSize(ioBuffer),
			grpc.WriteBufferSize(ioBuffer),
			grpc.ConnectionTimeout(preambleTimeout),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: serverPing, Timeout: pingTimeout}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingInterval / 2, PermitWithoutStream: true}),
		),
	}
}

// RegisterService implements grpc.ServiceRegistrar.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	bounded := *desc
	bounded.Methods, bounded.Streams = nil, nil
	for _, m := range desc.Methods {
		bounded.Streams = append(bounded.Streams, s.method(desc.ServiceName, m))
	}
	for _, st := range desc.Streams {
		bounded.Streams = append(bounded.Streams, s.line(desc.ServiceName, st))
	}
	s.Server.RegisterService(&bounded, impl)
}

// method is a unary method as gRPC is to see it.
func (s *Server) method(service string, m grpc.MethodDesc) grpc.StreamDesc {
	name := "/" + service + "/" + m.MethodName
	return grpc.StreamDesc{StreamName: m.MethodName, Handler: func(impl any, ss grpc.ServerStream) error {
		turn, err := s.intake.admit(ss.Context(), name)
		if err != nil {
			return err
		}
		defer turn.done()
		var held *owed
		reply, err := m.Handler(impl, ss.Context(), func(msg any) (err error) {
			if err = turn.receive(ss, msg); err == nil {
				held, err = s.intake.answer(ss.Context(), turn.from, name, msg)
			}
			return err
		}, s.intercept)
		if err != nil {
			held.done()
			return err
		}
		return held.send(ss, reply)
	}}
}

// line is a stream whose messages are bounded.
func (s *Server) line(service string, st grpc.StreamDesc) grpc.StreamDesc {
	handle, name := st.Handler, "/"+service+"/"+st.StreamName
	st.Handler = func(impl any, ss grpc.ServerStream) error {
		ctx, err := identified(ss.Context())
		if err != nil {
			return err
		}
		return handle(impl, &line{ServerStream: &identifiedStream{ss, ctx}, in: s.intake, method: name})
	}
	return st
}

// chain makes one interceptor of many; the first is the outermost.
func chain(all []grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		for i := len(all) - 1; i >= 0; i-- {
			next := handler
			handler = func(ctx context.Context, req any) (any, error) { return all[i](ctx, req, info, next) }
		}
		return handler(ctx, req)
	}
}

// gate looks at every call before anything of it is received.
type gate struct{ intake *intake }

// tap is called with the transport's lock held: it must not block.
func (g *gate) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	from := callerFrom(ctx)
	if err := g.check(from, info.FullMethodName); err != nil {
		return ctx, err
	}
	return ctx, g.intake.count(ctx, from, info.FullMethodName)
}

// boundedCodec refuses a request that is larger than its method's, before it is decoded, and follows the answers.
type boundedCodec struct{ encoding.CodecV2 }

// Marshal lets the answer know when it has been taken.
func (c boundedCodec) Marshal(v any) (mem.BufferSlice, error) {
	o, ok := v.(*outgoing)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	data, err := c.CodecV2.Marshal(o.msg)
	if err != nil {
		return nil, err
	}
	return append(data, o.answer.tail(data.Len())), nil
}

// sized is a message that is to be received.
type sized struct {
	msg any
	max int
	n   int   // bytes, once received
	err error // why it is none
}

// Unmarshal leaves the reason of a refusal in a sized: gRPC would answer an error in its own words.
func (c boundedCodec) Unmarshal(data mem.BufferSlice, v any) error {
	s, ok := v.(*sized)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if s.n = data.Len(); s.n > s.max {
		s.err = fmt.Errorf("a request of %d bytes, at most %d: %w", s.n, s.max, fs.ErrTooLarge)
	} else if err := c.CodecV2.Unmarshal(data, s.msg); err != nil {
		s.err = fmt.Errorf("the request cannot be decoded: %w: %w", err, fs.ErrInvalid)
	}
	return nil
}
