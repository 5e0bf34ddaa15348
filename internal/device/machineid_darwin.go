package device

import "golang.org/x/sys/unix"

// machineID returns the id of the hardware, or "".
func machineID() string {
	id, err := unix.Sysctl("kern.uuid")
	if err != nil {
		return ""
	}
	return id
}
