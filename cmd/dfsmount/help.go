package main

const long = `dfsmount mounts the filesystem of a dfs cluster on a directory.

The first argument names some or all of the cluster's nodes (comma-separated, default port 7400); the
others are learnt from them. Without it the cluster on this machine's default ports is taken.

dfsmount returns when the mount works and goes on in the background; with --foreground it stays. A
mount that lost its process is replaced by mounting again. 'umount DIR' and SIGTERM write back what is
not yet flushed and end the process; only then does the process's end mean that everything is safe.

Mount options (-o, comma-separated, as in fstab): ro, rw, allow_other, default_permissions (on by
default: the kernel checks permission bits and ACLs), no_default_permissions, suid and dev (off by
default), noexec, noatime, nodiratime (relatime is the default, and strictatime is refused); options for
mount(8) and systemd such as noauto, nofail, _netdev and x-… are accepted and ignored. Every flag is a
mount option too: -o tls-dir=/etc/dfs/tls,read-policy=p2c.

In /etc/fstab, with dfsmount also installed as /sbin/mount.dfs, which the packages do (see mount.dfs(8)):

    a,b,c  /mnt/x  dfs  _netdev,tls-dir=/etc/dfs/tls,allow_other  0 0

A machine without a certificate gets one by a token from "dfs join-token --role mount", into --tls-dir:
--join-token TOKEN, or @FILE with the token in it. Certificates renew themselves.

Every option can also come from the environment (--flush-age is DFS_FLUSH_AGE) or from a YAML file
given with --config ("flush-age: 1s"); flags win over the environment, which wins over the file.
Unknown names are errors.

The exit code is 0 once mounted (with --foreground: after a clean unmount), 1 after a failure and 2
after wrong usage.`

const examples = `  # the cluster on this machine
  dfsmount /mnt/x

  # three nodes elsewhere, readable by other users too
  dfsmount --tls-dir /etc/dfs/tls a,b,c /mnt/x -o allow_other

  # a part of the tree
  dfsmount --tls-dir /etc/dfs/tls --subtree /projects/x a,b,c /mnt/x

  # read-only, in the foreground
  dfsmount -f -o ro 127.0.0.1:7410 /mnt/y`

const helperLong = `mount.dfs is what mount(8) runs for the type dfs, and so what makes lines of /etc/fstab work. It is
dfsmount(8) under another name, with the arguments and exit codes that mount(8) wants.

NODES names some or all of the cluster's nodes (comma-separated, default port 7400); the others are learnt
from them. mount.dfs returns when the mount works, or has failed and it has said why; the mount's process
goes on in the background and logs under /var/log/dfs.

Mount options:

    ro, rw                     no changes, or changes (default)
    allow_other                let every user in, not just the one who mounts
    default_permissions        the kernel checks permission bits (default)
    no_default_permissions     it does not
    suid, dev, exec            as in mount(8); nosuid, nodev and exec are the default
    nosuid, nodev, noexec
    relatime                   record a read if the last was before the last change, or a day ago (default)
    noatime, nodiratime        no read is recorded, or no listing; strictatime is refused
    insecure                   allow unencrypted, unauthenticated traffic beyond loopback
    tls_dir=DIR                speak TLS with the files in DIR, made by "dfs ca issue"
    log_level=…, log_file=…    and every other long flag of dfsmount(8), with _ or -

Options for mount(8), systemd and the boot scripts are accepted and ignored: noauto, nofail, _netdev, user,
users, lazytime and their like, comment=… and x-…. Another option is an error, unless -s is given.

_netdev has to be said in /etc/fstab: mount(8) and systemd do not know that dfs needs the network, and
mount it after the network, and unmount it before the network goes, only if they are told. systemd makes a
mount unit of the line (mnt-x.mount for /mnt/x); x-systemd.automount in it mounts at first use instead
of at boot, and nofail lets the machine boot without the cluster.

A mount's options cannot be changed (mount -o remount): umount it and mount again.

The exit codes are those of mount(8): 0 mounted, 1 wrong usage, 2 no process could be started,
8 interrupted, 32 not mounted.`

const helperExamples = `  # by hand
  mount -t dfs a,b,c /mnt/x -o tls_dir=/etc/dfs/tls,allow_other

  # in /etc/fstab
  a,b,c  /mnt/x  dfs  _netdev,nofail,tls_dir=/etc/dfs/tls,allow_other  0 0

  # what is mounted
  findmnt -t fuse.dfs`
