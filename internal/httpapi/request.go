package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"cairn"
	"cairn/internal/rawjson"
)

// maxBodyBytes bounds the body that carries one document: the document's own
// bound, and room for the white space and envelope around it.
const maxBodyBytes = 40 << 20

// readObject returns the body as a compacted JSON object. An empty body, null
// and {} are alike: an empty object. A large one waits for its turn, and has it
// until the request ends.
func readObject(r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBodyBytes {
		return nil, bodyTooLarge()
	}
	var text bytes.Buffer
	if r.ContentLength > 0 {
		text.Grow(int(min(r.ContentLength, largeBody)) + bytes.MinRead)
	}
	bounded(r)
	n, err := text.ReadFrom(io.LimitReader(r.Body, largeBody))
	if err == nil && n == largeBody {
		var rest int64
		if err = takeTurn(r); err == nil {
			rest, err = text.ReadFrom(io.LimitReader(r.Body, maxBodyBytes+1-n))
			n += rest
		}
	}
	switch {
	case err != nil:
		return nil, told(readError(err), "Nothing was changed.")
	case n == 0:
		return []byte("{}"), nil
	}
	if err := wantMedia(r, isJSON, "application/json"); err != nil {
		return nil, err
	}
	if n > maxBodyBytes {
		return nil, bodyTooLarge()
	}
	return object("The body", text.Bytes())
}

// ignoreObject reads a body that says nothing which the request does not say
// already, as an object.
func ignoreObject(r *http.Request) error {
	_, err := readObject(r)
	endTurn(r)
	return err
}

// object returns JSON text compacted, which is an object; null is an empty one.
// what is its name in words.
func object(what string, text []byte) ([]byte, error) {
	v, err := rawjson.Compact(nil, text)
	if err != nil {
		return nil, notJSON(what, err)
	}
	switch {
	case rawjson.IsNull(v):
		return []byte("{}"), nil
	case !rawjson.IsObject(v):
		return nil, &cairn.Error{Code: cairn.CodeInvalid, Message: what + " is JSON, but not an object.", Hint: "Send {...}."}
	}
	return v, nil
}

// wantMedia returns an error of cairn.CodeMediaType unless the Content-Type
// passes.
func wantMedia(r *http.Request, ok func(string) bool, want string) error {
	given := r.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(given)
	if err == nil && ok(media) {
		return nil
	}
	return &cairn.Error{
		Code:    cairn.CodeMediaType,
		Message: "The body has the Content-Type " + cairn.Quote(given) + ".",
		Hint:    "Send it with Content-Type: " + want + ".",
	}
}

// maxDepth is how deep a document may be nested. It leaves room, below the
// 10,000 levels that encoding/json and we read, for the lists and lines in which
// documents travel.
const maxDepth = 9_000

// checkDepth refuses a document that others could not read.
func checkDepth(doc []byte) error {
	if rawjson.Depth(doc) <= maxDepth {
		return nil
	}
	return &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: fmt.Sprintf("The arrays and objects of the document are nested deeper than %d. Nothing was changed.", maxDepth),
		Hint:    "Keep such data as text inside the document.",
	}
}

func isJSON(media string) bool {
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

func isNDJSON(media string) bool {
	return media == "application/x-ndjson" || media == "application/ndjson" || media == "application/jsonl" || isJSON(media)
}

func bodyTooLarge() error {
	return &cairn.Error{
		Code:    cairn.CodeTooLarge,
		Message: fmt.Sprintf("The body is larger than %d MiB. Nothing was changed.", maxBodyBytes>>20),
		Hint:    "A document can have 32 MiB of compacted JSON; POST /v1/documents takes any number of them, one a line.",
	}
}

// notJSON says why what is not JSON.
func notJSON(what string, err error) error {
	message := what + " is not JSON: " + err.Error() + "."
	if e, ok := errors.AsType[*rawjson.SyntaxError](err); ok && e.UTF8 {
		message = fmt.Sprintf("%s is not UTF-8 text: the fault is at byte %d.", what, e.Offset)
	}
	return &cairn.Error{Code: cairn.CodeInvalid, Message: message, Hint: "Send valid JSON in UTF-8. Nothing was changed."}
}

// readError turns a failure to read a body into one for the client.
func readError(err error) error {
	if _, ok := errors.AsType[*cairn.Error](err); ok {
		return err
	}
	return &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: "The body could not be read to its end.",
		Hint:    "Send it again, with a Content-Length that is true.",
		Err:     err,
	}
}

// told returns the error with another sentence in its message.
func told(err error, sentence string) error {
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok {
		e = &cairn.Error{Code: cairn.CodeInternal, Message: "The daemon failed at this request.", Hint: "Its log says why.", Err: err}
	}
	more := *e
	more.Message += " " + sentence
	return &more
}

// parameter returns a query parameter, or "" when it is absent.
func parameter(r *http.Request, name string) (string, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The query " + cairn.Quote(r.URL.RawQuery) + " cannot be read.",
			Hint:    "It is name=value&name=value, with % and other special characters escaped.",
			Err:     err,
		}
	}
	values := query[name]
	if len(values) > 1 {
		return "", &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: fmt.Sprintf("The parameter %s comes %d times.", name, len(values)),
			Hint:    "Send it once.",
		}
	}
	return query.Get(name), nil
}

// flag returns a query parameter that is true or false; absent means fallback.
func flag(r *http.Request, name string, fallback bool) (bool, error) {
	text, err := parameter(r, name)
	if err != nil {
		return false, err
	}
	if text == "" {
		return fallback, nil
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: fmt.Sprintf("The parameter %s is %s.", name, cairn.Quote(text)),
			Hint:    "It is true or false.",
		}
	}
	return v, nil
}
