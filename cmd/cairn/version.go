package main

import (
	"fmt"
	"regexp"
	"runtime"

	"github.com/spf13/cobra"

	"cairn"
)

// version is cairn's own, set by the build.
var version = "dev"

// release is the version that is being made, for builds that have no number.
const release = "0.1.0"

// backupVersion returns the version that stands in the ids of backups: three
// numbers, whatever the build is called.
func backupVersion(build string) string {
	if v := regexp.MustCompile(`^v?(\d{1,4}\.\d{1,4}\.\d{1,4})`).FindStringSubmatch(build); v != nil {
		return v[1]
	}
	return release
}

func versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print the version of this program",
		Args:  takes(),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]string{
				"version": version, "api_level": cairn.APILevel, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
			})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "cairn %s (API %s, %s %s/%s)\n",
			version, cairn.APILevel, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	}
	return cmd
}
