package main

const long = `dfsmount mounts the filesystem of a dfs cluster on a directory.

The first argument names some or all of the cluster's nodes (comma-separated, default port 7400); the
others are learnt from them. Without it the cluster on this machine's default ports is taken.

dfsmount returns when the mount works and goes on in the background; with --foreground it stays. A
mount that lost its process is replaced by mounting again. 'umount DIR' and SIGTERM write back what is
not yet flushed and end the process; only then does the process's end mean that everything is safe.

Mount options (-o, comma-separated, as in fstab): ro, rw, allow_other, default_permissions (on by
default: the kernel checks permission bits), no_default_permissions, suid and dev (off by default),
noexec; options for mount(8) and systemd such as noauto, nofail, _netdev and x-… are accepted and
ignored. Every flag is a mount option too: -o tls-dir=/etc/dfs/tls,read-policy=p2c.

In /etc/fstab, with dfsmount also installed as /sbin/mount.fuse.dfs:

    a,b,c  /mnt/x  fuse.dfs  _netdev,tls-dir=/etc/dfs/tls,allow_other  0 0

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

  # read-only, in the foreground
  dfsmount -f -o ro 127.0.0.1:7410 /mnt/y`
