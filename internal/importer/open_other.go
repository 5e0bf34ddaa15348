//go:build !unix

package importer

// openFlags are empty where there are none for links and pipes. There,
// comparing what was seen before and after opening has to do.
const openFlags = 0
