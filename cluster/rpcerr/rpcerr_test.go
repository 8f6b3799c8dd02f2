package rpcerr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"dfs/cluster/rpcerr"
	"dfs/fs"
)

func across(err error) error { return rpcerr.FromStatus(rpcerr.ToStatus(err)) }

func TestEveryCode_CrossesWithItsText(t *testing.T) {
	for c := fs.CodeOK + 1; c <= fs.CodeInternal; c++ {
		sent := fmt.Errorf("read extent 7: %w", fs.FromCode(c))
		got := across(sent)
		if !errors.Is(got, fs.FromCode(c)) || fs.CodeOf(got) != c {
			t.Errorf("code %d arrives as %v", c, got)
		}
		if got.Error() != sent.Error() {
			t.Errorf("text %q arrives as %q", sent, got)
		}
	}
}

func TestNil_StaysNil(t *testing.T) {
	if rpcerr.ToStatus(nil) != nil || rpcerr.FromStatus(nil) != nil {
		t.Fatal("nil became an error")
	}
}

func TestNotLeaderError_KeepsTheAddress(t *testing.T) {
	for _, leader := range []string{"10.0.0.1:7400", ""} {
		got := across(fmt.Errorf("commit: %w", &fs.NotLeaderError{Leader: leader}))
		nl, ok := errors.AsType[*fs.NotLeaderError](got)
		if !ok || nl.Leader != leader || !errors.Is(got, fs.ErrNotLeader) {
			t.Errorf("leader %q arrives as %v", leader, got)
		}
	}
}

func TestForeignErrors_AreInternalWithTheirText(t *testing.T) {
	got := across(fmt.Errorf("read: %w", io.ErrUnexpectedEOF))
	if !errors.Is(got, fs.ErrInternal) || !strings.Contains(got.Error(), io.ErrUnexpectedEOF.Error()) {
		t.Fatalf("arrives as %v", got)
	}
}

func TestContextErrors_CrossAsThemselves(t *testing.T) {
	if got := across(fmt.Errorf("stage: %w", context.Canceled)); !errors.Is(got, context.Canceled) {
		t.Errorf("cancellation arrives as %v", got)
	}
	got := across(fmt.Errorf("stage: %w", context.DeadlineExceeded))
	if !errors.Is(got, context.DeadlineExceeded) || !errors.Is(got, fs.ErrTimeout) {
		t.Errorf("deadline arrives as %v", got)
	}
}

func TestErrorsOfGRPC_BecomeOurs(t *testing.T) {
	for c, want := range map[codes.Code]error{
		codes.Unavailable:       fs.ErrUnavailable,
		codes.DeadlineExceeded:  fs.ErrTimeout,
		codes.Canceled:          context.Canceled,
		codes.ResourceExhausted: fs.ErrTooLarge,
		codes.Unimplemented:     fs.ErrNotSupported,
		codes.Internal:          fs.ErrInternal,
		codes.Unknown:           fs.ErrInternal,
	} {
		if got := rpcerr.FromStatus(status.Error(c, "text")); !errors.Is(got, want) || got.Error() != "text" {
			t.Errorf("%v becomes %v, want %v", c, got, want)
		}
	}
	if got := rpcerr.FromStatus(io.EOF); !errors.Is(got, io.EOF) {
		t.Errorf("an error without a status becomes %v", got)
	}
}

func TestLongText_IsCutAtACharacter(t *testing.T) {
	got := across(fmt.Errorf("%s: %w", strings.Repeat("ä", 5000), fs.ErrBusy))
	if !errors.Is(got, fs.ErrBusy) || len(got.Error()) > 1100 || !utf8.ValidString(got.Error()) {
		t.Fatalf("arrives as %d bytes, %v", len(got.Error()), errors.Is(got, fs.ErrBusy))
	}
}

func TestBadText_DoesNotLoseTheCode(t *testing.T) {
	if got := across(fmt.Errorf("name \xff\xfe: %w", fs.ErrExist)); !errors.Is(got, fs.ErrExist) {
		t.Fatalf("arrives as %v", got)
	}
}

func TestFromStatus_SaysWhatTheDialerSaid(t *testing.T) {
	err := rpcerr.FromStatus(status.Error(codes.Unavailable,
		`connection error: desc = "transport: Error while dialing: connect to node at a:1: connection refused"`))
	if want := "connect to node at a:1: connection refused"; err.Error() != want || !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("%q, want %q", err, want)
	}
}
