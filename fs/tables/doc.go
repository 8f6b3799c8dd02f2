// Package tables checks the tables (.sst) of a Badger database.
//
// Badger 4.9.6 checksums every block of a table, and then makes nothing of a mismatch: a Get takes the block for one that
// lacks the key, an iterator for the end of the table, and a compaction writes the table anew without what came behind.
// Nothing is logged, nothing fails. So whoever keeps something that must not be lost in Badger asks here first.
//
// Caveat: a check is about one moment. What it has passed may be damaged before it is read the next time.
package tables
