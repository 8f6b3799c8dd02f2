// Package rpcerr carries errors across gRPC: an fs code and its text on one side, the same on the other.
//
// A server's handler returns ToStatus(err); a client returns FromStatus(err) of what its call got. errors.Is with the
// sentinels of fs, and errors.As with *fs.NotLeaderError, then hold as if there were no network between. What gRPC
// itself reports (a broken connection, a deadline, a message too large) becomes an fs error as well.
//
// The code travels as a google.rpc.ErrorInfo in the status's details, so that any other gRPC client can read it too.
package rpcerr

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"dfs/fs"
)

const (
	domain    = "dfs"
	leaderKey = "leader"
	// textMax bounds the text, which travels in a header.
	textMax = 1 << 10
)

// ToStatus is err as a handler returns it; nil for nil.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	code := fs.CodeOf(err)
	if code == fs.CodeInternal {
		if st := ofContext(err); st != nil {
			return st.Err()
		}
	}
	st := status.New(grpcCode(code), shorten(err.Error()))
	info := &errdetails.ErrorInfo{Domain: domain, Reason: strconv.Itoa(int(code))}
	if nl, ok := errors.AsType[*fs.NotLeaderError](err); ok {
		info.Metadata = map[string]string{leaderKey: nl.Leader}
	}
	if with, err := st.WithDetails(info); err == nil {
		st = with // it fails for codes.OK only, which grpcCode does not yield
	}
	return st.Err()
}

// ofContext is the status of a context's end, nil for any other error.
func ofContext(err error) *status.Status {
	switch {
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, shorten(err.Error()))
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, shorten(err.Error()))
	}
	return nil
}

// FromStatus is the error that the other side's handler passed to ToStatus, or what gRPC has to say instead; nil for
// nil. A deadline is both fs.ErrTimeout and context.DeadlineExceeded.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err // none of gRPC's: the call has not been made
	}
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.Domain == domain {
			return &remoteError{text: st.Message(), cause: cause(info)}
		}
	}
	return &remoteError{text: plain(st.Message()), cause: transport(st.Code())}
}

// Unreached is what gRPC, not the other side, has said, as an fs.ErrUnavailable whatever its code.
func Unreached(s *status.Status) error {
	return &remoteError{text: plain(s.Message()), cause: fs.ErrUnavailable}
}

// plain is what a dialer said, without what gRPC has put around it.
func plain(text string) string {
	if inner, ok := strings.CutPrefix(text, `connection error: desc = "transport: Error while dialing: `); ok {
		return strings.TrimSuffix(inner, `"`)
	}
	return text
}

// cause is what the other side's error wrapped.
func cause(info *errdetails.ErrorInfo) error {
	n, err := strconv.ParseUint(info.Reason, 10, 8)
	if err != nil || n == uint64(fs.CodeOK) {
		return fs.ErrInternal // no version of ours sends this
	}
	if leader, ok := info.Metadata[leaderKey]; ok && fs.Code(n) == fs.CodeNotLeader {
		return &fs.NotLeaderError{Leader: leader}
	}
	return fs.FromCode(fs.Code(n))
}

// transport is the cause of an error that gRPC made.
func transport(c codes.Code) error {
	switch c {
	case codes.Canceled:
		return context.Canceled
	case codes.DeadlineExceeded:
		return errors.Join(fs.ErrTimeout, context.DeadlineExceeded)
	case codes.Unavailable:
		return fs.ErrUnavailable
	case codes.ResourceExhausted:
		return fs.ErrTooLarge // gRPC's own use of the code: a message above the limit
	case codes.Unimplemented:
		return fs.ErrNotSupported
	case codes.InvalidArgument:
		return fs.ErrInvalid
	case codes.PermissionDenied, codes.Unauthenticated:
		return fs.ErrAccess
	}
	return fs.ErrInternal
}

// grpcCode is the nearest code of gRPC's, for its own tools; ours travels beside it.
func grpcCode(c fs.Code) codes.Code {
	switch c {
	case fs.CodeNotExist:
		return codes.NotFound
	case fs.CodeExist:
		return codes.AlreadyExists
	case fs.CodeInvalid:
		return codes.InvalidArgument
	case fs.CodePermission, fs.CodeAccess:
		return codes.PermissionDenied
	case fs.CodeNoSpace, fs.CodeQuota, fs.CodeTooLarge:
		return codes.ResourceExhausted
	case fs.CodeNotSupported:
		return codes.Unimplemented
	case fs.CodeAborted, fs.CodeConflict:
		return codes.Aborted
	case fs.CodeNotLeader, fs.CodeUnavailable, fs.CodeClosed:
		return codes.Unavailable
	case fs.CodeCorrupt:
		return codes.DataLoss
	case fs.CodeTimeout:
		return codes.DeadlineExceeded
	case fs.CodeInternal:
		return codes.Internal
	}
	return codes.FailedPrecondition
}

// remoteError has the text of one side and the cause of the other.
type remoteError struct {
	text  string
	cause error
}

func (e *remoteError) Error() string {
	if e.text == "" {
		return e.cause.Error()
	}
	return e.text
}

func (e *remoteError) Unwrap() error { return e.cause }

func shorten(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= textMax {
		return s
	}
	return strings.ToValidUTF8(s[:textMax], "") + "…"
}
