package azure_test

import (
	"strings"
	"testing"

	"cairn/internal/bucket/azure"
	"cairn/internal/bucket/buckettest"
)

func TestParseURL(t *testing.T) {
	buckettest.URLs(t, azure.ParseURL, map[string]azure.Location{
		"azblob://box?storage_account=abc":                                 {Container: "box", Account: "abc"},
		"azblob://" + strings.Repeat("a-", 31) + "a?storage_account=abc":   {Container: strings.Repeat("a-", 31) + "a", Account: "abc"},
		"azblob://my-box/a/b_c?storage_account=abc":                        {Container: "my-box", Prefix: "a/b_c", Account: "abc"},
		"azblob://box?endpoint=http://127.0.0.1:10000&storage_account=abc": {Container: "box", Account: "abc", Endpoint: "http://127.0.0.1:10000"},
	}, map[string]string{
		"azblob://box//a/?storage_account=abc":                                        "azblob://box/a?storage_account=abc",
		"azblob://box?storage_account=abc&endpoint=https://ABC.blob.core.windows.net": "azblob://box?storage_account=abc",
	}, []string{
		"azblob:box", "azblob://box", "azblob://b?storage_account=abc", "azblob://my--box?storage_account=abc", "azblob://box?storage_account=A_B",
		"azblob://" + strings.Repeat("a-", 32) + "a" + "?storage_account=abc", "azblob://box-?storage_account=abc",
		"azblob://key@box?storage_account=abc", "azblob://box?storage_account=abc&sig=a", "azblob://box?storage_account=abc&endpoint=host",
		"azblob://box?storage_account=abc&storage_account=abd",
	})
}

// TestAddress looks where an account is asked.
func TestAddress(t *testing.T) {
	for endpoint, want := range map[string]string{
		"": "https://abc.blob.core.windows.net/box",
		"https://abc.blob.core.usgovcloudapi.net": "https://abc.blob.core.usgovcloudapi.net/box",
		"http://127.0.0.1:10000":                  "http://127.0.0.1:10000/abc/box",
	} {
		credentials(t)
		b, err := azure.Open(t.Context(), azure.Location{Container: "box", Account: "abc", Endpoint: endpoint})
		if err != nil || b.Address() != want {
			t.Errorf("with the endpoint %q it asks %v, %v, want %s", endpoint, b, err, want)
		}
	}
}
