package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// headerTime is how long the header of a request may take, and a TLS handshake.
	headerTime = 10 * time.Second
	// idleTime is how long a connection is kept without a request.
	idleTime = 2 * time.Minute
	// mostHeader is about how many bytes a header can have.
	mostHeader = 64 << 10
)

// newServer returns the server of the daemon, whose requests live no longer than
// life. What a body may take the handler says.
func newServer(life context.Context, handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    mostHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return life },
		// OPTIONS * is for the handler too, whose guard looks at every request.
		DisableGeneralOptionsHandler: true,
	}
}
