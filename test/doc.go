// Package test runs the cairn binary as its users do: through the unmodified
// SDK of the original product and our package beside it, in Node and in a browser,
// over websockets, and from the command line.
//
//	make e2e                    # build, then run all of it
//	go test ./test -run TestSDK # with a binary that is built for the run
//
// Package harness starts the daemons, package s3server the store of backups where
// they are not in a folder; the folder sdk holds the tests that are written against
// the SDK.
package test
