// Package cairn is the domain of cairn: the nouns that every layer speaks of,
// the rules that hold for them, and the errors that cross its borders.
//
// Start with [Document], what the database keeps; [Digest], what proves that
// two databases hold the same documents; and [Error], the one error type that
// a person or a program gets to see:
//
//	doc := cairn.Document{Collection: "assets", ID: id, JSON: text}
//	if err := doc.Validate(); err != nil {
//		return err // a *cairn.Error with CodeInvalid
//	}
//
// The package imports the standard library only. SQLite, HTTP and buckets are
// adapters around it, each in a package of its own.
package cairn

// APILevel is the version of the Pieces OS API that cairn speaks. Clients
// accept 12.0.0 <= v < 13.0.0 without a build suffix, so this is not cairn's
// own version. Source: the wire contract, "Around it".
const APILevel = "12.5.0"

// Platform returns the PlatformEnum of an operating system as package runtime
// names it.
func Platform(goos string) string {
	switch goos {
	case "linux":
		return "LINUX"
	case "darwin":
		return "MACOS"
	case "windows":
		return "WINDOWS"
	}
	return "UNKNOWN"
}
