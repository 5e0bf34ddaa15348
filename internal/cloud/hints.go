package cloud

import (
	"fmt"
	"strings"

	"cairn"
)

// A kindOfStore is what hints about the stores of one kind say.
type kindOfStore struct {
	scheme string // of their URLs
	noun   string // what holds objects there
	known  map[cairn.Code]string
	// permissions are what must be allowed to read, to list, to write and to delete.
	// One that does not allow to list may not tell that an object is not there.
	read, list, write, remove string
}

// storeOf returns the kind of store that a URL is of; nil for a folder.
func storeOf(url string) *kindOfStore {
	scheme, _, _ := strings.Cut(url, ":")
	switch scheme {
	case "s3":
		return &kindOfStore{scheme: scheme, noun: "bucket",
			read: "s3:GetObject and s3:ListBucket", list: "s3:ListBucket", write: "s3:PutObject", remove: "s3:DeleteObject"}
	case "gs":
		const sign = "Run gcloud auth application-default login, or name another file with GOOGLE_APPLICATION_CREDENTIALS; then try again."
		return &kindOfStore{scheme: scheme, noun: "bucket",
			read: "storage.objects.get", list: "storage.objects.list", write: "storage.objects.create", remove: "storage.objects.delete",
			known: map[cairn.Code]string{
				cairn.CodeNoCredentials: "Give the daemon GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login; docs/clouds.md shows how.",
				cairn.CodeKeyUnknown:    "Is the service account still there, whose key GOOGLE_APPLICATION_CREDENTIALS names? Then try again.",
				cairn.CodeRefused:       sign,
				cairn.CodeExpired:       sign,
			}}
	case "azblob":
		return &kindOfStore{scheme: scheme, noun: "container",
			read: "to read (r)", list: "to list (l)", write: "to create (c)", remove: "to delete (d)",
			known: map[cairn.Code]string{
				cairn.CodeNoCredentials: "Give the daemon AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or run az login; docs/clouds.md shows how.",
				cairn.CodeKeyUnknown:    "Check AZURE_CLIENT_ID and AZURE_TENANT_ID; then try again.",
				cairn.CodeRefused:       "Check AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or AZURE_CLIENT_SECRET, and that the account is the right one; then try again.",
				cairn.CodeExpired:       "Run az login, or set a new signature or secret; then try again.",
			}}
	}
	return nil
}

// hint returns what can be done about a failure; "" if there is nothing special about
// this kind of store.
func (k *kindOfStore) hint(code cairn.Code, doing string) string {
	switch code {
	case cairn.CodeBucketMissing:
		return fmt.Sprintf("Are the name of the %s and the endpoint right? cairn makes no %ss. Then try again.", k.noun, k.noun)
	case cairn.CodeDenied:
		permission := map[string]string{
			"reading": k.read, "reading back": k.read, "looking for": k.read, "listing": k.list, "writing": k.write, "deleting": k.remove,
		}[doing]
		who := "Who has these credentials"
		if k.scheme == "s3" {
			who = "Who has this access key"
		}
		return fmt.Sprintf("%s needs the permission %s; docs/clouds.md has the policies. Then try again.", who, permission)
	}
	return k.known[code]
}
