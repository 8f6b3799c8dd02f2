// Package pki is who may speak: certificates with a role in them, the files they lie in, and the TLS settings made of
// them.
//
// A cluster has one certificate authority, made by [InitCA]: a root, and an [Issuer] that signs in its name. [Issue] makes a
// directory for one machine, with all that the machine needs; [Enrol] makes one by a [Token], on the machine itself; [Open]
// reads one, and [Credentials.KeepRenewed] renews what lies there. Every certificate carries one role, as a URI among its subject alternative names:
//
//	dfs://CA/role/node
//
// and that of a node also the name [ServerName], which a dialler asks for instead of the host's: a node is whoever the
// authority says is one, wherever it runs.
//
// Caveat: a certificate cannot be revoked, and who has it can renew it. It ends with the authority, or when it is not renewed.
package pki
