// Package rest is the HTTP front: files and directories under /v1/fs/, on the same engine (package vfs) as a mount.
//
// The model in a few lines. A request's path is cleaned once and walked from the root, symlinks inside the tree only. GET
// streams a snapshot of a file. PUT streams into a file without a name, which one transaction then names, or puts in the place
// of the old content. An ETag is (inode number, Version), so If-Match is decided where the change is applied. Errors are JSON
// with stable codes, from one table. routes.go lists what is served, openapi.yaml describes it, and a test compares the two.
//
// Caveat: whoever may speak to it may do everything, as root. Permissions of files are kept and shown, not enforced.
package rest
