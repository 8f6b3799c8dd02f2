package cluster

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"google.golang.org/grpc/credentials"

	"dfs/cluster/pki"
	"dfs/cluster/rpcerr"
	"dfs/fs"
)

// Who may call what, under TLS. Plaintext, which is for loopback and for networks where everybody is trusted, knows no
// roles: there everything is allowed. What is not in the table is allowed to nobody.
//
// A node may do what a mount may: its HTTP front is one. Taking a node out of the cluster is an operator's decision, and no
// node's.
var (
	forNodes   = []pki.Role{pki.RoleNode}
	forAdmins  = []pki.Role{pki.RoleAdmin}
	forClients = []pki.Role{pki.RoleMount, pki.RoleNode}
	forAll     = pki.Roles()
	// forWatchers: a mount tells its programs what others change. What a certificate that is bound to a subtree sees of it lies beneath it.
	forWatchers = []pki.Role{pki.RoleMount, pki.RoleAdmin}

	protocolRoles = map[Protocol][]pki.Role{ProtocolRaft: forNodes, ProtocolGRPC: forAll}

	methodRoles = map[string]map[string][]pki.Role{
		"dfs.cluster.v1.Cluster":      {"Hello": forNodes, "Promise": forNodes},
		"dfs.cluster.v1.Certificates": {"Renew": forAll},
		"dfs.meta.v1.Meta": {
			"Commit": forClients, "Abort": forClients,
			"Lookup": forClients, "Getattr": forAll /* by it the leader is found */, "Readdir": forClients, "Readlink": forClients, "Layout": forClients,
			"Getxattr": forClients, "Listxattr": forClients, "Statfs": forClients,
			"OpenSession": forClients, "CloseSession": forClients, "Attach": forClients, "Pin": forClients, "AllocInos": forClients,
			"Lock": forClients, "Room": forClients,
		},
		"dfs.meta.v1.Cluster": {
			"Join": forNodes, "Removal": forAdmins, "RemoveNode": forAdmins,
			"PutToken": forAdmins, "Tokens": forAdmins, "RevokeToken": forAdmins, "RedeemToken": forNodes,
			"Status": forAll, "Transactions": forAdmins, "Transaction": forAdmins, "Raft": forAdmins, "Explain": forAdmins, "Locks": forAdmins,
			"SetQuota": forAdmins, "RemoveQuota": forAdmins, "Quotas": forAdmins,
			"Watch": forWatchers,
		},
		"grpc.health.v1.Health": {"Check": forAll, "List": forAll, "Watch": forAll},
		"dfs.blob.v1.Blobs": {
			"Stage": forClients, "Get": forClients, "Usage": forClients,
			"Commit": forNodes, "Drop": forNodes, "Delete": forNodes, "List": forNodes,
		},
	}
)

// maySpeak says whether a peer may open a connection of a protocol; nil is one without TLS. The error is fs.ErrPermission.
func maySpeak(p *pki.Peer, proto Protocol) error {
	if p == nil || slices.Contains(protocolRoles[proto], p.Role) {
		return nil
	}
	return fmt.Errorf("%q, which has the role %q, asks for %s: %w", p.Name, p.Role, proto, fs.ErrPermission)
}

// mayCall says whether a peer may call a method, by its full name; nil is one without TLS.
func mayCall(p *pki.Peer, method string) bool {
	if p == nil {
		return true
	}
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return slices.Contains(methodRoles[service][name], p.Role)
}

// callerOf is whose call a gRPC handler's context belongs to; nil without TLS.
func callerOf(ctx context.Context) *pki.Peer { return callerFrom(ctx).peer }

// check is fs.ErrPermission, as a status, for a call that is not allowed. The answer says nothing else.
func (g *gate) check(from caller, method string) error {
	p := from.peer
	if mayCall(p, method) {
		return nil
	}
	g.intake.complain(from, "call refused: the certificate's role does not allow it", "method", method, "role", p.Role, "name", p.Name)
	return rpcerr.ToStatus(fmt.Errorf("the node refuses this call to this certificate: %w", fs.ErrPermission))
}

// accepted tells gRPC who is at the other end of a connection that the mux has accepted; the handshake is done.
type accepted struct{}

// caller is a connection's credentials.AuthInfo.
type caller struct {
	peer    *pki.Peer // nil: no TLS
	account *account
	conn    net.Conn // nil: it cannot be cut
	addr    net.Addr // for the log
}

// cut closes the connection, with all calls on it.
func (c caller) cut() {
	if c.conn != nil {
		drop(c.conn)
	}
}

func (caller) AuthType() string { return "dfs" }

func (accepted) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if g, ok := conn.(*guest); ok {
		return conn, caller{peer: g.peer, account: g.account, conn: conn}, nil
	}
	return conn, caller{account: newAccount("nobody"), conn: conn}, nil
}

func (accepted) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, fmt.Errorf("these credentials are a server's: %w", fs.ErrNotSupported)
}

func (accepted) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "dfs"}
}
func (a accepted) Clone() credentials.TransportCredentials { return a }
func (accepted) OverrideServerName(string) error           { return nil }
