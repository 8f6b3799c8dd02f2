package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"dfs/cmd/internal/config"
)

// fuseOptions is what mount options in the manner of fstab mean to the kernel.
type fuseOptions struct {
	readOnly           bool
	allowOther         bool
	defaultPermissions bool
	suid               bool // off unless said: a file's owner is whoever some mount says
	dev                bool // likewise
	noExec             bool
	noAtime            bool // reads are not recorded; else they are as with relatime
	noDirAtime         bool
}

// ignored are options that are addressed to mount(8), systemd or the boot scripts, or that are true of dfs anyway.
var ignored = []string{"defaults", "rw", "auto", "noauto", "nofail", "_netdev", "user", "nouser", "users", "group",
	"owner", "async", "lazytime", "nolazytime", "nostrictatime", "iversion", "noiversion", "loud", "silent", "acl"}

// parseOptions reads the -o options. What is neither a mount option nor ignored must be the name of a flag, so that a
// line of fstab can say everything that a command line can: -o insecure,read-policy=p2c. Where sloppy is set, it need not.
func parseOptions(list []string, flags *pflag.FlagSet, sloppy bool) (fuseOptions, error) {
	o := fuseOptions{defaultPermissions: true}
	for _, item := range list {
		name, value, hasValue := strings.Cut(strings.TrimSpace(item), "=")
		if name == "" || slices.Contains(ignored, name) || strings.HasPrefix(strings.ToLower(name), "x-") || name == "comment" {
			continue
		}
		if o.set(name) {
			continue
		}
		if name == "strictatime" || name == "norelatime" {
			return o, fmt.Errorf("%w: mount option %q: a write for every read is not supported; relatime is the default, noatime records none", config.ErrUsage, item)
		}
		if name == "remount" {
			return o, fmt.Errorf("%w: mount option %q: a mount keeps its options; umount it and mount again (another mount beside it may have others, such as ro)", config.ErrUsage, item)
		}
		if sloppy && !isOption(flags, strings.ReplaceAll(name, "_", "-")) {
			continue
		}
		if err := setFlag(flags, strings.ReplaceAll(name, "_", "-"), value, hasValue); err != nil {
			return o, fmt.Errorf("%w: mount option %q: %v", config.ErrUsage, item, err)
		}
	}
	return o, nil
}

func (o *fuseOptions) set(name string) bool {
	switch name {
	case "ro":
		o.readOnly = true
	case "allow_other":
		o.allowOther = true
	case "default_permissions":
		o.defaultPermissions = true
	case "no_default_permissions":
		o.defaultPermissions = false
	case "suid", "nosuid":
		o.suid = name == "suid"
	case "dev", "nodev":
		o.dev = name == "dev"
	case "exec", "noexec":
		o.noExec = name == "noexec"
	case "atime", "relatime", "noatime":
		o.noAtime = name == "noatime"
	case "diratime", "nodiratime":
		o.noDirAtime = name == "nodiratime"
	default:
		return false
	}
	return true
}

// isOption reports whether a flag may be said as a mount option.
func isOption(flags *pflag.FlagSet, name string) bool {
	f := flags.Lookup(name)
	return f != nil && !f.Hidden && name != "options" && name != "config"
}

func setFlag(flags *pflag.FlagSet, name, value string, hasValue bool) error {
	if !isOption(flags, name) {
		return errors.New("unknown; see mount.dfs(8) or dfsmount --help")
	}
	f := flags.Lookup(name)
	if f.Changed {
		return nil // the command line is stronger
	}
	if !hasValue {
		if f.NoOptDefVal == "" {
			return errors.New("needs a value")
		}
		value = f.NoOptDefVal
	}
	return flags.Set(name, value)
}
