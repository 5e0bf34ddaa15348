package emulator

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// GCS starts a server that speaks the JSON API of Google Cloud Storage, and gives
// out the tokens that it wants to see. It ends with the test.
func GCS(t testing.TB) *Server {
	t.Helper()
	s, err := StartGCS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// StartGCS is GCS for several tests. The credentials are a file in dir.
func StartGCS(dir string) (*Server, error) {
	token := rand.Text()
	s := start(func(s *Server, mux *http.ServeMux) {
		known := func(handle func(w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer "+token {
					refuseGCS(w, r, http.StatusUnauthorized, "authError", "Invalid Credentials")
					return
				}
				handle(w, r)
			}
		}
		mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600})
		})
		mux.HandleFunc("POST /upload/storage/v1/b/{bucket}/o", known(s.putGCS))
		mux.HandleFunc("GET /storage/v1/b/{bucket}/o", known(s.listGCS))
		mux.HandleFunc("GET /storage/v1/b/{bucket}/o/{name}", known(s.getGCS))
		mux.HandleFunc("DELETE /storage/v1/b/{bucket}/o/{name}", known(func(w http.ResponseWriter, r *http.Request) {
			became := s.remove(r.PathValue("bucket"), r.PathValue("name"))
			if became != done {
				absentGCS(w, r, became)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		}))
	})
	file := filepath.Join(dir, "google.json")
	s.env = map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": file}
	err := WriteServiceAccount(file, s.URL+"/token")
	if err != nil {
		s.Close()
	}
	return s, err
}

// WriteServiceAccount writes a file of credentials with a new key, which is good for
// a token where they say so.
func WriteServiceAccount(file, tokenURL string) error {
	const bits = 1024 // nobody checks what is signed with it
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "cairn@project.iam.gserviceaccount.com", "private_key_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": tokenURL,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}

// refuseGCS answers with an error. The servers for what is stored, which mark their
// answers, refuse downloads in words that they call a page.
func refuseGCS(w http.ResponseWriter, r *http.Request, status int, reason, message string) {
	w.Header().Set("X-GUploader-UploadID", rand.Text())
	if r.URL.Query().Get("alt") == "media" {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, message) // the client may have gone
		return
	}
	answerJSON(w, status, map[string]any{"error": map[string]any{
		"code": status, "message": message, "errors": []any{map[string]string{"domain": "global", "reason": reason, "message": message}},
	}})
}

// absentGCS answers that something is not there.
func absentGCS(w http.ResponseWriter, r *http.Request, became int) {
	message := "The specified bucket does not exist."
	if became == noObject {
		message = "No such object: " + r.PathValue("bucket") + "/" + r.PathValue("name")
	}
	refuseGCS(w, r, http.StatusNotFound, "notFound", message)
}

// resource describes an object.
func resource(name string, o object) map[string]any {
	at := o.modified.Truncate(time.Millisecond).Format(time.RFC3339Nano)
	return map[string]any{
		"kind": "storage#object", "name": name, "size": strconv.Itoa(len(o.data)), "timeCreated": at, "updated": at,
		"generation": generation(o), "metageneration": "1", "contentType": "application/octet-stream", "crc32c": sum(o),
	}
}

func generation(o object) string { return strconv.FormatInt(o.modified.UnixMicro(), 10) }

// sum returns the checksum of an object.
func sum(o object) string {
	sum := crc32.Checksum(o.data, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

func (s *Server) putGCS(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if query.Get("uploadType") != "media" || query.Get("ifGenerationMatch") != "0" {
		refuseGCS(w, r, http.StatusBadRequest, "invalid", "only objects that are not there, in one request")
		return
	}
	o, became := s.put(r.PathValue("bucket"), query.Get("name"), r.Body, r.ContentLength)
	switch became {
	case noBucket:
		absentGCS(w, r, became)
	case exists:
		refuseGCS(w, r, http.StatusPreconditionFailed, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
	default:
		answerJSON(w, http.StatusOK, only(resource(query.Get("name"), o), query.Get("fields")))
	}
}

func (s *Server) getGCS(w http.ResponseWriter, r *http.Request) {
	o, became := s.get(r.PathValue("bucket"), r.PathValue("name"))
	switch {
	case became != done:
		absentGCS(w, r, became)
	case r.URL.Query().Get("alt") == "media":
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(o.data)))
		w.Header().Set("X-Goog-Generation", generation(o))
		w.Header().Set("X-Goog-Hash", "crc32c="+sum(o))
		_, _ = w.Write(o.data) // the client may have gone
	default:
		answerJSON(w, http.StatusOK, only(resource(r.PathValue("name"), o), r.URL.Query().Get("fields")))
	}
}

func (s *Server) listGCS(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	most := listed
	if n, err := strconv.Atoi(query.Get("maxResults")); err == nil {
		most = min(most, n)
	}
	entries, next, became := s.list(r.PathValue("bucket"), query.Get("prefix"), query.Get("pageToken"), most)
	switch became {
	case done:
	case noToken:
		refuseGCS(w, r, http.StatusBadRequest, "invalid", "Invalid Value")
		return
	default:
		absentGCS(w, r, became)
		return
	}
	all, of, isCut := strings.Cut(query.Get("fields"), "items(")
	of = strings.TrimSuffix(of, ")")
	answer := map[string]any{"kind": "storage#objects"}
	if next != "" {
		answer["nextPageToken"] = next
	}
	var items []any
	for _, e := range entries {
		items = append(items, only(resource(e.name, e.object), of))
	}
	answer = only(answer, all)
	if items != nil && (isCut || all == "") { // which it leaves out
		answer["items"] = items
	}
	answerJSON(w, http.StatusOK, answer)
}

// only returns what was asked for of an answer.
func only(answer map[string]any, fields string) map[string]any {
	if fields != "" {
		maps.DeleteFunc(answer, func(name string, _ any) bool { return !slices.Contains(strings.Split(fields, ","), name) })
	}
	return answer
}
