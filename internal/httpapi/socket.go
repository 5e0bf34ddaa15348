package httpapi

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"cairn"
)

// A socket is an open websocket, which is read until its client is gone.
type socket struct {
	conn    *websocket.Conn
	life    context.Context // ends when the client is gone, or close is called
	end     context.CancelFunc
	first   chan message // gets the first message of the client, or is closed when it is gone without
	reading sync.WaitGroup
}

// A message is what a client sends in one piece.
type message struct {
	kind websocket.MessageType
	text []byte
}

// overSocket opens the websocket that a request asks for and has fn use it. Closing
// the daemon waits for that. The socket is cut behind fn, unless fn closed it.
func (s *Server) overSocket(w http.ResponseWriter, r *http.Request, fn func(*socket)) error {
	if err := s.beginStream(); err != nil {
		return err
	}
	defer s.streams.Done()
	c, err := open(w, r)
	if err != nil {
		return err
	}
	defer c.close()
	fn(c)
	return nil
}

// open opens the websocket that a request asks for. What its client sends after
// the first message, of at most 32 KiB, means nothing here. Call close.
func open(w http.ResponseWriter, r *http.Request) (*socket, error) {
	conn, err := accept(w, r)
	if err != nil {
		return nil, err
	}
	c := &socket{conn: conn, first: make(chan message, 1)}
	c.life, c.end = context.WithCancel(r.Context())
	c.reading.Go(func() {
		defer c.end()
		kind, text, err := conn.Read(r.Context())
		if err != nil {
			close(c.first)
			return
		}
		c.first <- message{kind, text}
		for {
			_, message, err := conn.Reader(r.Context())
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, message); err != nil {
				return
			}
		}
	})
	return c, nil
}

// endless returns the contexts of a stream that has no end of its own: one that
// ends with the daemon or the connection, and one of what is written. A frame that
// is under way at the end of the daemon is still sent, so that a close can follow
// it, if the client takes it in time.
func (s *Server) endless(c *socket) (ctx, writing context.Context, end context.CancelFunc) {
	ctx, cancel := context.WithCancel(c.life)
	writing, giveUp := context.WithCancel(c.life)
	stop := context.AfterFunc(s.life, func() {
		cancel()
		time.AfterFunc(closeGrace, giveUp)
	})
	return ctx, writing, func() { stop(); cancel(); giveUp() }
}

// closeGrace is how long a frame may still take when the daemon ends.
const closeGrace = time.Second

// close cuts the connection, if it was not closed.
func (c *socket) close() {
	c.end()
	_ = c.conn.CloseNow() // it may be closed
	c.reading.Wait()
}

// accept opens the websocket that a request asks for.
func accept(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	shake := handshake{response: w.(*response)}
	conn, err := websocket.Accept(&shake, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the guard has looked at Origin and Host
	})
	if !shake.refused {
		return conn, err
	}
	w.Header().Del("Connection")
	w.Header().Del("Upgrade")
	return nil, &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: "The request asks for a websocket, but not as RFC 6455 has it.",
		Hint:    "Send GET over HTTP/1.1 with Connection: Upgrade, Upgrade: websocket, Sec-WebSocket-Version: 13 and a Sec-WebSocket-Key; or leave out Upgrade to get the current state as JSON.",
		Err:     err,
	}
}

// handshake keeps the websocket library from answering itself when it refuses
// a request.
type handshake struct {
	*response
	refused bool
}

func (h *handshake) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		h.response.WriteHeader(status)
		return
	}
	h.refused = true
}

func (h *handshake) Write(b []byte) (int, error) {
	if h.refused {
		return len(b), nil
	}
	return h.response.Write(b)
}

// websocketRequested tells the two uses of a stream's path apart.
func websocketRequested(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}
