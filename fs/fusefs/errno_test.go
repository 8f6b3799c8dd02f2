package fusefs

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"dfs/fs"
)

func TestErrno_EveryCodeHasOne(t *testing.T) {
	ours := map[fs.Code]bool{ // what a program can do nothing about
		fs.CodeFenced: true, fs.CodeAborted: true, fs.CodeConflict: true, fs.CodeTooManyExtents: true, fs.CodeCorrupt: true,
		fs.CodeClosed: true, fs.CodeWrongCluster: true, fs.CodeTooLarge: true, fs.CodeRemoved: true, fs.CodeInternal: true,
	}
	for code := fs.CodeNotExist; code <= fs.CodeInternal; code++ {
		got := errnoOf(fmt.Errorf("wrapped: %w", fs.FromCode(code)))
		if (got == syscall.EIO) != ours[code] {
			t.Errorf("code %d (%v) is %v", code, fs.FromCode(code), got)
		}
	}
}

func TestErrno_IsWhatTheManualsName(t *testing.T) {
	for _, c := range []struct {
		err  error
		want syscall.Errno
	}{
		{nil, 0},
		{fs.ErrNotExist, syscall.ENOENT},
		{fs.ErrLoop, syscall.EINVAL},
		{fs.ErrNoXattr, syscall.ENODATA},
		{fs.ErrXattrTooBig, syscall.ENOSPC},
		{&fs.NotLeaderError{Leader: "x"}, syscall.EHOSTUNREACH},
		{gone(fmt.Errorf("open: %w", fs.ErrNotExist)), syscall.ESTALE},
		{gone(fs.ErrAccess), syscall.EACCES},
		{gone(nil), 0},
		{context.Canceled, syscall.EINTR},
		{context.DeadlineExceeded, syscall.ETIMEDOUT},
		// A call that says why it gave up means more than the context that it gave up for.
		{fmt.Errorf("%w: %w", fs.ErrUnavailable, context.DeadlineExceeded), syscall.EHOSTUNREACH},
		{errRange, syscall.ERANGE},
		{errNoData, syscall.ENXIO},
		{errNotTTY, syscall.ENOTTY},
		{fmt.Errorf("handle 1: %w", errBadHandle), syscall.EBADF},
		{errors.New("something else"), syscall.EIO},
	} {
		if got := errnoOf(c.err); got != c.want {
			t.Errorf("%v is %v, want %v", c.err, got, c.want)
		}
	}
}
