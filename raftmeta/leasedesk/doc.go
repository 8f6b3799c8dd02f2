// Package leasedesk drives the leader's table of leases for one reign: callers wait here until they are let through, recalls
// leave from here, and what a transaction changes is found out here. Package lease has the protocol, DESIGN.md what the
// desk adds to it.
package leasedesk
