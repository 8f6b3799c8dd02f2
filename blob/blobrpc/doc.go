// Package blobrpc is a [blob.Store] on another node: Server serves one over gRPC, Client is one.
//
// Each method is one call of blobpb.Blobs. Errors cross as fs codes (cluster/rpcerr). Each call names the node that it
// is meant for, and a server refuses what is meant for another: an address that has changed hands must not receive
// somebody else's deletions, nor vote in another's name.
//
// Caveat: a server keeps to its bound of memory (ServerConfig.StageBytes) by refusing, not by waiting, since a blob is
// in memory already when its handler starts; clients go to another replica or come back.
package blobrpc
