package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"cairn"
)

func statusCommand() *cobra.Command {
	return clientCommand("status", "say where the daemon is and what it holds", takes(), func(c call) error {
		st, err := c.client.Status(c.ctx)
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(c.out, st)
		}
		_, err = fmt.Fprintf(c.out, `version    %s (API %s)
listening  %s
data       %s
device     %s
documents  %d, %s
revision   %d
digest     %s
`, st.Version, st.APILevel, strings.Join(st.URLs, " "), printable(st.Data), printable(st.DeviceName),
			st.Database.Documents, bytesText(st.Database.Bytes), st.Database.Revision, st.Database.Digest)
		return err
	})
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
