package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"cairn"
)

// ProblemType is the media type of a [Problem]. Source: RFC 9457.
const ProblemType = problem

// A Problem is the body of an error answer: problem details of RFC 9457 with
// the members code and hint besides.
type Problem struct {
	Type   string     `json:"type"`   // "about:blank": the status says it all
	Title  string     `json:"title"`  // of the status
	Status int        `json:"status"` // as in the status line
	Detail string     `json:"detail"` // a sentence for the person
	Code   cairn.Code `json:"code"`   // for programs
	Hint   string     `json:"hint,omitempty"`
}

// statuses is the table code <-> HTTP status. Codes that only one side of the
// wire knows have no row.
var statuses = map[cairn.Code]int{
	cairn.CodeInvalid:      http.StatusBadRequest,
	cairn.CodeForbidden:    http.StatusForbidden,
	cairn.CodeUnauthorized: http.StatusUnauthorized,
	cairn.CodeTooManyTries: http.StatusTooManyRequests,
	cairn.CodeNotFound:     http.StatusNotFound,
	cairn.CodeNotAllowed:   http.StatusMethodNotAllowed,
	cairn.CodeTimeout:      http.StatusRequestTimeout,
	cairn.CodeGone:         http.StatusGone,
	cairn.CodeChanged:      http.StatusPreconditionFailed,
	cairn.CodeTooLarge:     http.StatusRequestEntityTooLarge,
	cairn.CodeMediaType:    http.StatusUnsupportedMediaType,
	cairn.CodeDiskFull:     http.StatusInternalServerError,
	cairn.CodeReadOnly:     http.StatusInternalServerError,
	cairn.CodeNoPermission: http.StatusInternalServerError,
	cairn.CodeDamaged:      http.StatusInternalServerError,
	cairn.CodeInUse:        http.StatusInternalServerError,
	cairn.CodeInternal:     http.StatusInternalServerError,
	cairn.CodeShuttingDown: http.StatusInternalServerError, // the original API declares no 503

	cairn.CodeSignedOut:       http.StatusNetworkAuthenticationRequired,
	cairn.CodeNoCloud:         http.StatusNetworkAuthenticationRequired,
	cairn.CodeCloudLocked:     http.StatusNetworkAuthenticationRequired,
	cairn.CodeKeyWrong:        http.StatusNetworkAuthenticationRequired,
	cairn.CodePassphraseWrong: http.StatusNetworkAuthenticationRequired,
	cairn.CodeKeyNeeded:       http.StatusConflict,
	cairn.CodeCloudNotFound:   http.StatusInternalServerError, // the original API has no 404 there
	cairn.CodeRefused:         http.StatusNetworkAuthenticationRequired,
	cairn.CodeNoCredentials:   http.StatusNetworkAuthenticationRequired,
	cairn.CodeKeyUnknown:      http.StatusNetworkAuthenticationRequired,
	cairn.CodeExpired:         http.StatusNetworkAuthenticationRequired,
	cairn.CodeFormatTooNew:    http.StatusHTTPVersionNotSupported, // of the cloud or the backup, not of HTTP
	cairn.CodeNotCloud:        http.StatusInternalServerError,
	cairn.CodeDenied:          http.StatusInternalServerError,
	cairn.CodeClock:           http.StatusInternalServerError,
	cairn.CodeRegion:          http.StatusInternalServerError,
	cairn.CodeHostUnknown:     http.StatusInternalServerError,
	cairn.CodeTLS:             http.StatusInternalServerError,
	cairn.CodeNotStore:        http.StatusInternalServerError,
	cairn.CodeRejected:        http.StatusInternalServerError,
	cairn.CodeCloudBusy:       http.StatusInternalServerError,
	cairn.CodeCloudLost:       http.StatusInternalServerError,
	cairn.CodeBucketMissing:   http.StatusInternalServerError,
	cairn.CodeBackupNotFound:  http.StatusInternalServerError, // the original API has no 404 there
	cairn.CodeTooLate:         http.StatusConflict,
	cairn.CodeStale:           http.StatusInternalServerError,
	cairn.CodeBackupIsPartial: http.StatusInternalServerError,
	cairn.CodeNotInBackup:     http.StatusNotFound,
	cairn.CodeJobNotFound:     http.StatusNotFound,
	cairn.CodeQueueFull:       http.StatusInternalServerError,
	cairn.CodeNotInProgress:   http.StatusInternalServerError, // as the original API declares it
	cairn.CodeCanceled:        http.StatusInternalServerError,
	cairn.CodeNothingToUndo:   http.StatusConflict,
	cairn.CodeCheckRunning:    http.StatusConflict,
}

// StatusOf returns the HTTP status of a code; 500 for one without a row.
func StatusOf(code cairn.Code) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// ProblemOf returns what the wire may know of err: of an error that is no
// *cairn.Error, that there was one.
func ProblemOf(err error) Problem {
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok {
		e = &cairn.Error{
			Code:    cairn.CodeInternal,
			Message: "The daemon failed at this request.",
			Hint:    "Its log says why.",
		}
	}
	status := StatusOf(e.Code)
	return Problem{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: e.Message,
		Code:   e.Code,
		Hint:   e.Hint,
	}
}

// ReadProblem returns the error that an answer of another status than the
// wanted one tells of, whoever sent it.
func ReadProblem(status int, contentType string, body []byte) error {
	var p Problem
	if strings.HasPrefix(contentType, ProblemType) && json.Unmarshal(body, &p) == nil && p.Code != "" {
		return &cairn.Error{Code: p.Code, Message: p.Detail, Hint: p.Hint}
	}
	return &cairn.Error{
		Code:    cairn.CodeInternal,
		Message: fmt.Sprintf("The answer has status %d and does not come from cairn.", status),
		Hint:    "Check what else listens on this address.",
	}
}
