package emulator_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"cairn/test/emulator"
)

// TestStrangers asks without credentials: neither server does anything.
func TestStrangers(t *testing.T) {
	google, azure := emulator.GCS(t), emulator.Azure(t)
	for url, want := range map[string]int{
		google.URL + "/storage/v1/b/" + google.Bucket() + "/o":                                     http.StatusUnauthorized,
		google.URL + "/storage/v1/b/" + google.Bucket() + "/o/name":                                http.StatusUnauthorized,
		azure.URL + "/" + emulator.Account + "/" + azure.Bucket() + "?restype=container&comp=list": http.StatusForbidden,
		azure.URL + "/" + emulator.Account + "/" + azure.Bucket() + "/name":                        http.StatusForbidden,
		azure.URL + "/elsewhere/" + azure.Bucket() + "/name":                                       http.StatusNotFound,
	} {
		if status, text := get(t, url); status != want {
			t.Errorf("GET %s: %d %s, want %d", url, status, text, want)
		}
	}
	if got := google.Requests(); len(got) != 2 || !strings.HasPrefix(got[0], "GET /storage/v1/b/bucket-") {
		t.Errorf("there were the requests %q, want two", got)
	}
}

func get(t *testing.T, url string) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
