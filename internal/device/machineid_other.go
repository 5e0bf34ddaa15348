//go:build !linux && !darwin && !windows

package device

// machineID returns "": no source is known for this system.
func machineID() string { return "" }
