// Package web serves the page at GET /, for the person who opens the address
// that the daemon printed.
//
//	page, err := web.New(web.Config{Status: status, Stats: db.Stats})
package web

import (
	"bytes"
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
}

// New returns the handler of the page.
func New(cfg Config) (http.Handler, error) {
	page, err := template.New("page").Parse(source)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var html bytes.Buffer
		err := page.Execute(&html, struct {
			Status api.Status
			Stats  cairn.Stats
		}{cfg.Status(), cfg.Stats()})
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
