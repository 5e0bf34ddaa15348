package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"cairn"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "say where the daemon is and what it holds",
		Args:  takes(),
	}
	data, asJSON := dataFlag(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := daemon(*data)
		if err != nil {
			return err
		}
		st, err := c.Status(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), st)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), `version    %s (API %s)
listening  %s
data       %s
device     %s
documents  %d, %s
revision   %d
digest     %s
`, st.Version, st.APILevel, strings.Join(st.URLs, " "), st.Data, printable(st.DeviceName),
			st.Database.Documents, bytesText(st.Database.Bytes), st.Database.Revision, st.Database.Digest)
		return err
	}
	return cmd
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
