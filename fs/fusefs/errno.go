package fusefs

import (
	"context"
	"errors"
	"syscall"

	"dfs/fs"
)

// errnoOf is the errno of an error: of the fs sentinel that it wraps, or of a context's end. What no caller can do
// anything about is EIO; see internal.
func errnoOf(err error) syscall.Errno {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errRange):
		return syscall.ERANGE
	case errors.Is(err, errBadHandle):
		return syscall.EBADF
	case errors.Is(err, errNoData):
		return syscall.ENXIO
	case errors.Is(err, errNotTTY):
		return syscall.ENOTTY
	case errors.Is(err, errNoCall):
		return syscall.ENOSYS
	case errors.Is(err, errWouldBlock):
		return syscall.EAGAIN
	case errors.Is(err, errDeadlock):
		return syscall.EDEADLK
	case errors.Is(err, errNoLocks):
		return syscall.ENOLCK
	}
	if code := fs.CodeOf(err); code != fs.CodeInternal {
		return errnoOfCode(code)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return syscall.EINTR
	case errors.Is(err, context.DeadlineExceeded):
		return syscall.ETIMEDOUT
	}
	return syscall.EIO
}

// errnoOfCode is the one table. A code that is not in it is one that should not come this far.
func errnoOfCode(code fs.Code) syscall.Errno {
	switch code {
	case fs.CodeOK:
		return 0
	case fs.CodeNotExist:
		return syscall.ENOENT
	case fs.CodeExist:
		return syscall.EEXIST
	case fs.CodeNotDir:
		return syscall.ENOTDIR
	case fs.CodeIsDir:
		return syscall.EISDIR
	case fs.CodeNotEmpty:
		return syscall.ENOTEMPTY
	case fs.CodePermission:
		return syscall.EPERM
	case fs.CodeAccess:
		return syscall.EACCES
	case fs.CodeInvalid, fs.CodeLoop: // rename(2) into the own subtree is EINVAL
		return syscall.EINVAL
	case fs.CodeNameTooLong:
		return syscall.ENAMETOOLONG
	case fs.CodeFileTooBig:
		return syscall.EFBIG
	case fs.CodeTooManyLinks:
		return syscall.EMLINK
	case fs.CodeNoSpace, fs.CodeXattrTooBig: // setxattr(2): no room left for the inode's attributes
		return syscall.ENOSPC
	case fs.CodeQuota:
		return syscall.EDQUOT
	case fs.CodeNoXattr:
		return syscall.ENODATA
	case fs.CodeStale:
		return syscall.ESTALE
	case fs.CodeCrossDevice:
		return syscall.EXDEV
	case fs.CodeNotSupported:
		return syscall.EOPNOTSUPP
	case fs.CodeReadOnly:
		return syscall.EROFS
	case fs.CodeBusy:
		return syscall.EBUSY
	case fs.CodeUnavailable, fs.CodeNotLeader:
		return syscall.EHOSTUNREACH
	case fs.CodeTimeout:
		return syscall.ETIMEDOUT
	}
	return syscall.EIO
}

// worthLogging reports whether an errno says so little, or something so bad, that its cause belongs in the log.
func worthLogging(e syscall.Errno) bool {
	switch e {
	case syscall.EIO, syscall.EHOSTUNREACH, syscall.ETIMEDOUT, syscall.EBADF:
		return true
	}
	return false
}

// What the kernel must be told and package fs has no word for.
var (
	errRange     = errors.New("buffer too small")
	errBadHandle = errors.New("no such file handle")
	errNoData    = errors.New("no data behind the offset")
	errNotTTY    = errors.New("no such ioctl")
	errNoCall    = errors.New("call not implemented; the kernel need not ask again")
)

// gone tells of an inode that was addressed by its number and no longer exists. The name that led there may well mean
// another inode by now (rename replaced it), so the kernel is told ESTALE: it walks the path once more, past its
// caches, and only a second failure reaches the program.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &goneError{err}
	}
	return err
}

type goneError struct{ cause error }

func (e *goneError) Error() string { return e.cause.Error() }
func (e *goneError) Unwrap() error { return fs.ErrStale }
