package api

// Status is the answer of GET /v1/status.
type Status struct {
	Version    string         `json:"version"`   // of cairn
	APILevel   string         `json:"api_level"` // of the Pieces OS API that it speaks
	DeviceName string         `json:"device_name"`
	User       string         `json:"user"`     // id of the local user
	Platform   string         `json:"platform"` // PlatformEnum
	Data       string         `json:"data"`     // the data folder
	URLs       []string       `json:"urls"`     // where it listens
	Database   DatabaseStatus `json:"database"`
}

// DatabaseStatus describes the live database at one moment.
type DatabaseStatus struct {
	Documents int64  `json:"documents"`
	Deletions int64  `json:"deletions"`
	Bytes     int64  `json:"bytes"` // of compacted JSON
	Revision  int64  `json:"revision"`
	Line      string `json:"line"`
	Digest    string `json:"digest"` // of the set of documents, 32 hexadecimal digits
}
