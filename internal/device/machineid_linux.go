package device

import (
	"os"
	"strings"
)

// machineID returns the id that systemd or D-Bus gave this machine, or "".
func machineID() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		data, err := os.ReadFile(path)
		id := strings.TrimSpace(string(data))
		if err == nil && id != "" && id != "uninitialized" { // as systemd has it before the first boot
			return id
		}
	}
	return ""
}
