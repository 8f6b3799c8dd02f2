package fs

import (
	"errors"
	"fmt"
)

// Code is the stable number of an error: what crosses the wire and lies in the log instead of text. Numbers are never
// reused.
type Code uint8

// The codes. Each has one sentinel below.
const (
	CodeOK Code = iota
	CodeNotExist
	CodeExist
	CodeNotDir
	CodeIsDir
	CodeNotEmpty
	CodePermission
	CodeAccess
	CodeInvalid
	CodeNameTooLong
	CodeFileTooBig
	CodeTooManyLinks
	CodeNoSpace
	CodeQuota
	CodeNoXattr
	CodeXattrTooBig
	CodeStale
	CodeLoop
	CodeCrossDevice
	CodeNotSupported
	CodeReadOnly
	CodeBusy
	CodeFenced
	CodeAborted
	CodeConflict
	CodeTooManyExtents
	CodeNotLeader
	CodeUnavailable
	CodeCorrupt
	CodeTimeout
	CodeClosed
	CodeWrongCluster
	CodeTooLarge
	CodeRemoved
	CodeInternal
)

// Error is a sentinel; compare with errors.Is.
type Error struct {
	Code Code
	text string
}

func (e *Error) Error() string { return e.text }

// The sentinels. Wrap them with %w and what you were doing. package fs/fusefs turns them into errno, and it alone.
var (
	ErrNotExist       = &Error{CodeNotExist, "no such file or directory"}
	ErrExist          = &Error{CodeExist, "file exists"}
	ErrNotDir         = &Error{CodeNotDir, "not a directory"}
	ErrIsDir          = &Error{CodeIsDir, "is a directory"}
	ErrNotEmpty       = &Error{CodeNotEmpty, "directory not empty"}
	ErrPermission     = &Error{CodePermission, "operation not permitted"}
	ErrAccess         = &Error{CodeAccess, "permission denied"}
	ErrInvalid        = &Error{CodeInvalid, "invalid argument"}
	ErrNameTooLong    = &Error{CodeNameTooLong, "file name too long"}
	ErrFileTooBig     = &Error{CodeFileTooBig, "file too large"}
	ErrTooManyLinks   = &Error{CodeTooManyLinks, "too many links"}
	ErrNoSpace        = &Error{CodeNoSpace, "no space left on the cluster"}
	ErrQuota          = &Error{CodeQuota, "disk quota exceeded"}
	ErrNoXattr        = &Error{CodeNoXattr, "no such extended attribute"}
	ErrXattrTooBig    = &Error{CodeXattrTooBig, "extended attribute too large"}
	ErrStale          = &Error{CodeStale, "stale file handle"}
	ErrLoop           = &Error{CodeLoop, "a directory cannot be moved into itself"}
	ErrCrossDevice    = &Error{CodeCrossDevice, "invalid cross-device link"}
	ErrNotSupported   = &Error{CodeNotSupported, "operation not supported"}
	ErrReadOnly       = &Error{CodeReadOnly, "read-only file system"}
	ErrBusy           = &Error{CodeBusy, "resource busy"}
	ErrFenced         = &Error{CodeFenced, "the session has expired and is fenced"}
	ErrAborted        = &Error{CodeAborted, "the transaction was aborted"}
	ErrConflict       = &Error{CodeConflict, "a precondition no longer holds"}
	ErrTooManyExtents = &Error{CodeTooManyExtents, "the operation touches too many extents; split it"}
	ErrNotLeader      = &Error{CodeNotLeader, "this node is not the leader"}
	ErrUnavailable    = &Error{CodeUnavailable, "the cluster has no quorum or cannot be reached"}
	ErrCorrupt        = &Error{CodeCorrupt, "checksum mismatch: the data is corrupt"}
	ErrTimeout        = &Error{CodeTimeout, "timed out"}
	ErrClosed         = &Error{CodeClosed, "closed"}
	ErrWrongCluster   = &Error{CodeWrongCluster, "the peer belongs to another cluster"}
	ErrTooLarge       = &Error{CodeTooLarge, "request too large"}
	ErrRemoved        = &Error{CodeRemoved, "the node was removed from the cluster"}
	ErrInternal       = &Error{CodeInternal, "internal error"}
)

// sentinels lists every sentinel at its code.
var sentinels = func() (t [CodeInternal + 1]*Error) {
	for _, e := range []*Error{ErrNotExist, ErrExist, ErrNotDir, ErrIsDir, ErrNotEmpty, ErrPermission, ErrAccess,
		ErrInvalid, ErrNameTooLong, ErrFileTooBig, ErrTooManyLinks, ErrNoSpace, ErrQuota, ErrNoXattr, ErrXattrTooBig,
		ErrStale, ErrLoop, ErrCrossDevice, ErrNotSupported, ErrReadOnly, ErrBusy, ErrFenced, ErrAborted, ErrConflict,
		ErrTooManyExtents, ErrNotLeader, ErrUnavailable, ErrCorrupt, ErrTimeout, ErrClosed, ErrWrongCluster,
		ErrTooLarge, ErrRemoved, ErrInternal} {
		t[e.Code] = e
	}
	return t
}()

// CodeOf is the code of the sentinel that err wraps; CodeOK for nil, CodeInternal for what wraps none.
func CodeOf(err error) Code {
	if err == nil {
		return CodeOK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// FromCode is the inverse of [CodeOf]: the bare sentinel, nil for CodeOK. An unknown code, from a newer peer, becomes
// ErrInternal with the number in its text.
func FromCode(c Code) error {
	if c == CodeOK {
		return nil
	}
	if int(c) < len(sentinels) {
		return sentinels[c]
	}
	return fmt.Errorf("unknown error code %d from a newer version: %w", c, ErrInternal)
}

// NotLeaderError is an ErrNotLeader that knows where to go instead.
type NotLeaderError struct {
	Leader string // the leader's RPC address; empty when none is known
}

func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return "this node is not the leader, and knows of none"
	}
	return "this node is not the leader; try " + e.Leader
}

// Unwrap makes errors.Is(err, ErrNotLeader) hold.
func (e *NotLeaderError) Unwrap() error { return ErrNotLeader }
