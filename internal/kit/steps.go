package kit

import (
	_ "embed"
	"net/url"
	"strings"
)

// A place is what the kit says of where the cloud is.
type place struct {
	// Store names the kind of store; "" is a folder.
	Store string
	// Credentials says where those of the store come from.
	Credentials string
	// Folder is what the cloud is called in the steps without cairn.
	Folder string
	// Copy makes that folder of a bucket; "" when there is nothing to copy.
	Copy string
}

// placeOf reads the URL of a cloud. Of one that it does not know, a person has to
// know how to copy it.
func placeOf(text string) place {
	u, err := url.Parse(text)
	if err != nil {
		return place{Store: "a store", Credentials: otherCredentials, Folder: "cloud"}
	}
	query := u.Query()
	prefix := strings.Trim(u.Path, "/")
	switch u.Scheme {
	case "file":
		return place{Folder: folderOf(u)}
	case "s3":
		command := "aws s3 sync " + quote("s3://"+u.Host+u.Path) + " cloud"
		for _, option := range [][2]string{{"endpoint", "endpoint-url"}, {"region", "region"}, {"profile", "profile"}} {
			if value := query.Get(option[0]); value != "" {
				command += " \\\n    --" + option[1] + " " + quote(value)
			}
		}
		return place{Store: "a bucket", Credentials: s3Credentials, Folder: "cloud", Copy: command}
	case "gs":
		return place{Store: "a bucket of Google Cloud Storage", Credentials: gsCredentials, Folder: "cloud",
			Copy: "mkdir cloud\ngcloud storage rsync --recursive " + quote("gs://"+u.Host+u.Path) + " cloud"}
	case "azblob":
		command := "mkdir copy\naz storage blob download-batch --destination copy --source " + quote(u.Host)
		if account := query.Get("storage_account"); account != "" {
			command += " \\\n    --account-name " + quote(account)
		}
		if endpoint := query.Get("endpoint"); endpoint != "" {
			command += " \\\n    --blob-endpoint " + quote(endpoint)
		}
		if prefix == "" {
			return place{Store: "a container of Azure", Credentials: azureCredentials, Folder: "copy", Copy: command}
		}
		return place{Store: "a container of Azure", Credentials: azureCredentials, Folder: "copy/" + prefix,
			Copy: command + " \\\n    --pattern " + quote(prefix+"/*")}
	}
	return place{Store: "a store", Credentials: otherCredentials, Folder: "cloud"}
}

const (
	s3Credentials    = "an access key and its secret, in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile of the AWS tools"
	gsCredentials    = "a service account, in GOOGLE_APPLICATION_CREDENTIALS, or what gcloud auth application-default login stores"
	azureCredentials = "a key or a signature, in AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or what az login stores"
	otherCredentials = "what the tools of the store use"
)

// folderOf returns the path in a file URL.
func folderOf(u *url.URL) string {
	path := u.Path
	if len(path) > 3 && path[2] == ':' { // file:///C:/folder
		path = path[1:]
	}
	return path
}

// quote returns text as one word for a shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// readScript is what reads the newest backup without cairn, after a line that sets
// cloud and key.
//
//go:embed read.sh
var readScript string

// commands are the steps of the kit, for a shell.
type commands struct {
	Serve, Connect, Restore string // with cairn
	Copy, Read              string // without it
}

// commandsOf returns them for a kit.
func (k Kit) commandsOf(p place) commands {
	return commands{
		Serve:   "cairn serve",
		Connect: "cairn cloud connect " + quote(printable(k.URL)) + " --key key.txt",
		Restore: "cairn backup list\ncairn backup restore ID",
		Copy:    printableLines(p.Copy),
		Read:    "cloud=" + quote(printable(p.Folder)) + " key=key.txt\n" + strings.TrimSuffix(readScript, "\n"),
	}
}

// printableLines is printable for text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
