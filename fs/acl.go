package fs

// The extended attributes that hold POSIX ACLs (acl(5)), in the format of Linux. The state machine knows them by these names:
// it checks them, keeps the mode in step with the first, and has what is made in a directory inherit the second.
const (
	XattrACLAccess  = "system.posix_acl_access"
	XattrACLDefault = "system.posix_acl_default" // of a directory
)

// IsACL reports whether an extended attribute is an ACL.
func IsACL(name string) bool { return name == XattrACLAccess || name == XattrACLDefault }
