package main

const long = `dfsnode runs one node of a dfs cluster: it stores replicas of file data, takes part in Raft, which
holds the metadata, and gossips with the other nodes about who is alive and how loaded.

Without flags it is a complete cluster of one node on loopback, which can grow: further nodes join it
with --join. Started again with the same --dir it resumes where it stopped, whatever way it stopped.

Three machines that form a new cluster together are started with the same command line on each:

    dfsnode --tls-dir /etc/dfs/tls --bootstrap-expect 3 --join a,b,c

They may be started in any order, and the line may stay the same for ever: a node that already belongs
to a cluster does not form another one. Beyond loopback TLS is demanded; "dfs ca" makes the files. Or say
--insecure: then nothing is encrypted, and whoever reaches the ports may do everything.

A further machine needs no files of its own, but a token from "dfs join-token" and the names of some
nodes (NODES, which are the same as --join):

    dfsnode --join-token TOKEN a,b,c

With TLS, certificates renew themselves.

Files are served over HTTP at /v1/fs/ (described at /v1/openapi.yaml), to whoever has a token of
--rest-token-file; on loopback, and with --insecure, the file may be left out, and everybody is served.

Ports: 7400 RPC and Raft (TCP), 7401 gossip (TCP and UDP), 7480 HTTP, 7490 metrics (TCP).

Every option can also come from the environment (--bootstrap-expect is DFS_BOOTSTRAP_EXPECT) or from
a YAML file given with --config ("bootstrap-expect: 3"); flags win over the environment, which wins
over the file. Unknown names are errors. With --config a node forms a cluster of one only if
bootstrap-expect says so.

SIGTERM and SIGINT stop the node cleanly: it leaves gossip and hands over leadership. Killing it loses
nothing that was acknowledged. The exit code is 0 after a clean stop, 1 after a failure and 2 after
wrong usage.

Under systemd (Type=notify, as in the packages' dfsnode.service) the node says READY once it serves, whether
or not it belongs to a cluster yet, and how it stands as STATUS. It beats the watchdog only when a small write
to each of its disks has just been synced and its parts have answered: one whose disk or process hangs is
started again, one whose disk is full is not.

For tests: DFS_FAILPOINTS="STEP=ACTION[@N],…" kills (kill), stops (stop), fails (error) or delays
(sleep:100ms) the process at a named step of a protocol, at its N-th time.`

const examples = `  # one node on this machine, data under /var/lib/dfs; then: dfsmount /mnt/x
  dfsnode

  # a second node on the same machine joins the first
  dfsnode --dir /srv/dfs2 --listen 127.0.0.1:7410 --gossip 127.0.0.1:7411 \
      --http 127.0.0.1:7482 --metrics 127.0.0.1:7491 --join 127.0.0.1

  # three machines, the same line on each
  dfsnode --tls-dir /etc/dfs/tls --bootstrap-expect 3 --join 10.0.0.1,10.0.0.2,10.0.0.3

  # a further node, in rack r2, that leaves 100 GiB of its disk to others
  dfsnode --tls-dir /etc/dfs/tls --join 10.0.0.1 --zone r2 --reserve 100GiB

  # a new machine, let in by the token in a file that only root can read
  dfsnode --join-token @/etc/dfs/token 10.0.0.1,10.0.0.2`
