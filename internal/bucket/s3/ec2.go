package s3

import (
	"os"
	"strings"
)

// onEC2 reports whether this computer is a virtual machine of AWS, where there
// is a metadata service that hands out credentials. Elsewhere nobody answers at
// its address, or somebody who should not be asked. Source: AWS, Detect whether
// a host is an EC2 instance. Someone who knows better sets
// AWS_EC2_METADATA_DISABLED=false.
func onEC2() bool {
	if strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "false") {
		return true
	}
	for file, mark := range map[string]string{
		"/sys/hypervisor/uuid":                    "ec2",
		"/sys/devices/virtual/dmi/id/sys_vendor":  "amazon ec2",
		"/sys/devices/virtual/dmi/id/bios_vendor": "amazon ec2",
	} {
		text, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(strings.ToLower(string(text)), mark) {
			return true
		}
	}
	return false
}
