package main

const long = `dfs shows what a dfs cluster is doing. It asks the nodes named by --addr, one after the other, until
one answers; any node will do, and it answers without a majority too, and says so.

Every option can also come from the environment (--addr is DFS_ADDR) or from a YAML file given with
--config ("addr: 10.0.0.1"); flags win over the environment, which wins over the file.

To have the shell complete commands and flags: source <(dfs completion bash), and likewise for zsh, fish
and powershell; "dfs completion SHELL --help" tells how to have it in every shell.`

const examples = `  dfs status
  dfs doctor
  dfs top
  dfs watch /d
  dfs explain /d/f
  dfs status --json --addr 10.0.0.1,10.0.0.2
  dfs node ls
  dfs node remove n3
  dfs ls -l /docs
  dfs cp report.pdf dfs:/docs/
  dfs tx ls
  dfs tx show 3.17
  dfs lock ls
  dfs ca init && dfs ca issue --role node --name n1
  dfs join-token --role mount --ttl 24h
  dfs quota set /projects/a --bytes 10GiB
  dfs lb simulate --policy weighted --nodes nodes.json`

const filesLong = `Files are read and written over HTTP by one node (--http), without a mount. PATH is a path from the root of
the filesystem; "dfs:" may stand before it, and in cp it must, for it tells which side is the cluster's.

A file that is copied is there as a whole or not at all: a copy that is interrupted leaves what was there
before. A node that wants a token (--rest-token-file) is shown the first one of --token-file.`

const nodeLong = `The nodes are the machines that keep the blobs and the metadata. A node that fails stays a member, and the
blobs on it are counted on: only when it is removed are they copied to other nodes. So remove one that will
not come back. Of two nodes neither can be missed: three can lose
any one.`

const nodeRemoveLong = `Removes a node for good, and prints what that does first: it is no member any more, and the blobs that lay on
it are copied to other nodes. If its process still runs it ends. Refused without --force if the node is
alive, or if it has the last replica of a blob; refused always if there would be no quorum without it.
Removing it again changes nothing.

Its name is used up. To use the machine again, delete the node's data directory and start dfsnode with
another --name, or without.`

const txLong = `A flush transaction is how a mount's pending work becomes durable: the file data is staged on nodes
first (prepared), then one entry of the replicated log decides about all of it (committed or aborted).

A transaction stays prepared for moments only. One that stays longer has a coordinator, a mount, that
is hung or gone: when its session expires the transaction is aborted and the staged data dropped.`

const lbLong = `Prints what share of the blobs each node would get under a policy: to see what the weights do before
the cluster does it. The file holds a JSON array of nodes; disk sizes are bytes, cpu and memory are used
shares from 0 to 1:

    [{"id": "a", "zone": "r1", "disk_total": 1000000000, "disk_free": 900000000,
      "cpu": 0.1, "memory": 0.3, "in_flight": 2, "latency_ms": 1.5}, …]`
