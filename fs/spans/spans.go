// Package spans marks what a request is made of, for OpenTelemetry. Who begins a trace has a Tracer; everybody below finds out
// from the context whether there is one, and where there is none, spans cost a look at the context.
//
// Caveat: spans leave the cluster. They carry kinds of operations, numbers and codes, never names or contents of files.
package spans

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"dfs/fs"
)

// Tracer begins traces. Nil: there are none.
type Tracer = trace.Tracer

// Name is what spans are made in the name of.
const Name = "dfs"

// Header is what carries a trace to another machine (W3C Trace Context).
const Header = "traceparent"

// Span is a piece of work. A nil one is none; its methods may be called all the same.
type Span struct{ span trace.Span }

// Begin begins a trace, or a piece of the one that ctx belongs to.
func Begin(ctx context.Context, t Tracer, name string, kind trace.SpanKind) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	ctx, s := t.Start(ctx, name, trace.WithSpanKind(kind))
	if !s.IsRecording() {
		return ctx, nil
	}
	if id := fs.RequestID(ctx); id != "" {
		s.SetAttributes(attribute.String("dfs.request", id))
	}
	return ctx, &Span{s}
}

// Start begins a piece of the trace that ctx belongs to; nil if it belongs to none.
func Start(ctx context.Context, name string, kind trace.SpanKind) (context.Context, *Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, nil
	}
	return Begin(ctx, parent.TracerProvider().Tracer(Name), name, kind)
}

// End ends the piece of work. Of an error only its kind is told.
func (s *Span) End(err error) {
	if s == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, fs.FromCode(fs.CodeOf(err)).Error())
	}
	s.span.End()
}

// Number notes something that can be counted.
func (s *Span) Number(key string, n int64) {
	if s != nil {
		s.span.SetAttributes(attribute.Int64("dfs."+key, n))
	}
}

// Parent is what a piece of work that outlives ctx, or runs beside it, belongs to.
func Parent(ctx context.Context) trace.SpanContext { return trace.SpanContextFromContext(ctx) }

// Under puts ctx into the trace of a parent, which may be none.
func Under(ctx context.Context, parent trace.SpanContext) context.Context {
	if !parent.IsValid() {
		return ctx
	}
	return trace.ContextWithSpanContext(ctx, parent)
}

// Carry is the value of Header for another machine; empty without a trace.
func Carry(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, c)
	return c[Header]
}

// Take is ctx in the trace that another machine's Header tells of. What is no trace is none.
func Take(ctx context.Context, header string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{Header: header})
}
