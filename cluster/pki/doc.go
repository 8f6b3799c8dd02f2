// Package pki is who may speak: certificates with a role in them, the files they lie in, and the TLS settings made of
// them.
//
// A cluster has one certificate authority, made by [InitCA]. [Issue] makes a directory for one machine, with all that the
// machine needs; [Open] reads one. Every certificate carries one role, as a URI among its subject alternative names:
//
//	dfs://CA/role/node
//
// and that of a node also the name [ServerName], which a dialler asks for instead of the host's: a node is whoever the
// authority says is one, wherever it runs.
//
// Caveat: a certificate cannot be revoked. It ends after its days, or with the authority.
package pki
