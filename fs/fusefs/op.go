package fusefs

// Op is a kind of kernel request, as it is counted.
type Op uint8

// The requests, in the order of their FUSE opcodes.
const (
	OpLookup Op = iota
	OpGetattr
	OpSetattr
	OpReadlink
	OpSymlink
	OpMknod
	OpMkdir
	OpUnlink
	OpRmdir
	OpRename
	OpLink
	OpOpen
	OpRead
	OpWrite
	OpStatfs
	OpRelease
	OpFsync
	OpSetxattr
	OpGetxattr
	OpListxattr
	OpRemovexattr
	OpFlush
	OpOpendir
	OpReaddir
	OpReleasedir
	OpFsyncdir
	OpGetlk
	OpSetlk
	OpSetlkw
	OpCreate
	OpIoctl
	OpFallocate
	OpLseek
	OpCopyFileRange
	OpTmpfile
	OpStatx
	opCount
)

// String is the request's name in lower case, as metrics label it.
func (o Op) String() string {
	if o >= opCount {
		return "unknown"
	}
	return [opCount]string{"lookup", "getattr", "setattr", "readlink", "symlink", "mknod", "mkdir", "unlink", "rmdir",
		"rename", "link", "open", "read", "write", "statfs", "release", "fsync", "setxattr", "getxattr", "listxattr",
		"removexattr", "flush", "opendir", "readdir", "releasedir", "fsyncdir", "getlk", "setlk", "setlkw", "create", "ioctl", "fallocate",
		"lseek", "copy_file_range", "tmpfile", "statx"}[o]
}
