package device

import "golang.org/x/sys/windows/registry"

// machineID returns the id that the installation of Windows drew, or "".
func machineID() string {
	const access = registry.QUERY_VALUE | registry.WOW64_64KEY
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Cryptography`, access)
	if err != nil {
		return ""
	}
	defer key.Close()
	id, _, err := key.GetStringValue("MachineGuid")
	if err != nil {
		return ""
	}
	return id
}
