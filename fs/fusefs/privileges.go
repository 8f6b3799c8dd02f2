package fusefs

// Whoever changes a program that runs under its owner's rights, without being privileged to (CAP_FSETID), takes these
// rights from it. With FUSE_HANDLE_KILLPRIV_V2 the kernel only says who is not privileged, and the operation that makes the
// change clears the bits (KillPriv in package fs). The other way round, where the kernel clears them, costs a GETXATTR
// before every write(2).

// unprivileged is for the calls in which the kernel does not say whether the caller is privileged: the superuser is taken
// to be, others not to.
func (r *request) unprivileged() bool { return r.in.Uid != 0 }
