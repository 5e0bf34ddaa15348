// Package web serves the page at GET /, for the person who opens the address
// that the daemon printed.
//
//	page, err := web.New(web.Config{Status: status, Stats: db.Stats, Last: engine.Last, Cloud: engine.Cloud})
package web

import (
	"bytes"
	"context"
	_ "embed"
	"html/template"
	"net/http"

	"cairn"
	"cairn/api"
)

//go:embed page.html
var source string

// Config is what the page tells of.
type Config struct {
	Status func() api.Status  // version, data folder, addresses
	Stats  func() cairn.Stats // of the database
	// Last returns the newest backup of the database and how many changes came
	// after it; ok is false when there is none.
	Last func(context.Context) (last cairn.Base, changes int64, ok bool, err error)
	// Cloud describes where backups go. It may ask the cloud, for some seconds.
	Cloud func(context.Context) cairn.CloudStatus
}

// view is what the template sees.
type view struct {
	Status  api.Status
	Stats   cairn.Stats
	Cloud   cairn.CloudStatus
	Last    string // when the newest backup was made; "" when there is none
	Changes int64  // since then
}

// New returns the handler of the page.
func New(cfg Config) (http.Handler, error) {
	page, err := template.New("page").Parse(source)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := view{Status: cfg.Status(), Stats: cfg.Stats(), Cloud: cfg.Cloud(r.Context())}
		last, changes, ok, err := cfg.Last(r.Context())
		if ok {
			v.Last, v.Changes = last.Created.Local().Format("2006-01-02 15:04:05"), changes
		}
		var html bytes.Buffer
		if err == nil {
			err = page.Execute(&html, v)
		}
		if err != nil {
			http.Error(w, "the page could not be made", http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(html.Bytes()) // the client is gone
	}), nil
}
