package httpapi

import (
	"bytes"
	"context"
	"net/http"

	"github.com/coder/websocket"

	"cairn"
	"cairn/internal/rawjson"
)

// profile is the UserProfile of the one local user.
func (s *Server) profile() []byte {
	const email = "local@localhost.localdomain" // clients want one; this one is nobody's
	var o rawjson.Object
	return o.SetText("id", s.cfg.Device.User()).SetText("name", "local").SetText("email", email).
		Set("aesthetics", []byte(`{"theme":{"dark":false},"font":{"size":14}}`)).
		Set("allocation", s.allocation()).JSON()
}

// allocation is the AllocationCloud of the local user, or nil while no cloud is
// ready. Clients take the user as connected when its status is RUNNING. They
// want URLs, of a service that our cloud is not: an id stands in for them.
func (s *Server) allocation() []byte {
	cloud, ok := s.cfg.Backups.Connected()
	if !ok {
		return nil
	}
	var o, url, urls rawjson.Object
	url.SetText("status", "RUNNING").SetText("url", "urn:uuid:"+cloud)
	urls.Set("base", url.JSON()).Set("id", url.JSON())
	return o.SetText("id", cloud).SetText("user", s.cfg.Device.User()).Set("urls", urls.JSON()).
		Set("status", []byte(`{"cloud":"RUNNING"}`)).SetText("project", "cairn").JSON()
}

// user is GET /user: {"user"?: UserProfile}.
func (s *Server) user(w http.ResponseWriter, _ *http.Request) error {
	var o rawjson.Object
	if s.cfg.Device.SignedIn() {
		o.Set("user", s.profile())
	}
	return writeRaw(w, o.JSON())
}

// signIn is POST /os/sign_in: there is one local user, who needs no password
// on this machine.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := s.sign(r, true); err != nil {
		return err
	}
	return writeRaw(w, s.profile())
}

// signOut is POST /os/sign_out. It never touches documents.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := s.sign(r, false); err != nil {
		return err
	}
	return writeRaw(w, []byte(`{"iterable":[]}`))
}

// sign signs the user in or out, and has those hear of it who watch.
func (s *Server) sign(r *http.Request, in bool) error {
	if err := ignoreObject(r); err != nil {
		return err
	}
	err := s.cfg.Device.SetSignedIn(r.Context(), in)
	s.cfg.User.Raise()
	return err
}

// allocations is GET /allocations: the cloud, while the user is signed in and
// it is ready.
func (s *Server) allocations(w http.ResponseWriter, _ *http.Request) error {
	var o rawjson.Object
	list := rawjson.Array()
	if allocation := s.allocation(); allocation != nil && s.cfg.Device.SignedIn() {
		list = rawjson.Array(allocation)
	}
	return writeRaw(w, o.Set("iterable", list).JSON())
}

// connectAllocation is POST /allocations/connect, and reconnect: it connects the
// cloud that is used or was disconnected. What the client says of the user means
// nothing: there is one.
func (s *Server) connectAllocation(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	if err := ignoreObject(r); err != nil {
		return err
	}
	if _, err := s.cfg.Clouds.Connect(r.Context(), cairn.CloudRequest{}); err != nil {
		return err
	}
	allocation := s.allocation()
	if allocation == nil { // somebody has disconnected it in between
		return &cairn.Error{Code: cairn.CodeNoCloud, Message: "No cloud is connected any more.", Hint: "Connect it again."}
	}
	return writeRaw(w, allocation)
}

// disconnectAllocation is POST /allocations/disconnect: AllocationCloud -> the id of
// the cloud that is not used from now on, as text.
func (s *Server) disconnectAllocation(w http.ResponseWriter, r *http.Request) error {
	body, err := readObject(r)
	if err != nil {
		return err
	}
	given, _ := rawjson.Text(rawjson.Get(body, "id"))
	if now, ok := s.cfg.Backups.Connected(); ok && given != "" && given != now {
		return &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The cloud " + cairn.Quote(given) + " is not the one that is connected.",
			Hint:    "GET /allocations shows that one. Nothing was changed.",
		}
	}
	cloud, err := s.cfg.Clouds.Disconnect(r.Context())
	if err != nil {
		return err
	}
	writeText(w, cloud)
	return nil
}

// streamUser is GET /user/stream: over a websocket, the UserProfile, and again
// each time that it changes. An empty frame says that the user is signed out, which
// is how the wrappers of the original product hear of it. To a plain GET, as
// generated clients send it, the state: null for signed out.
func (s *Server) streamUser(w http.ResponseWriter, r *http.Request) error {
	if !websocketRequested(r) {
		user := s.currentUser()
		if user == nil {
			user = []byte("null")
		}
		return writeRaw(w, user)
	}
	return s.overSocket(w, r, func(c *socket) {
		ctx, writing, end := s.endless(c)
		defer end()
		s.sendUser(ctx, writing, c.conn)
		if s.life.Err() != nil {
			_ = c.conn.Close(websocket.StatusGoingAway, "the daemon is stopping")
		}
	})
}

// sendUser sends the state, then changes of it, until ctx ends or the client is
// gone. A client that is slow gets the newest state.
func (s *Server) sendUser(ctx, writing context.Context, conn *websocket.Conn) {
	var sent []byte
	for first := true; ; first = false {
		changed := s.cfg.User.Wait()
		if now := s.currentUser(); first || !bytes.Equal(now, sent) {
			frame, cancel := context.WithTimeout(writing, s.cfg.WriteStall)
			err := conn.Write(frame, websocket.MessageText, now)
			cancel()
			if err != nil {
				return
			}
			sent = now
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// currentUser returns the UserProfile, or nil for signed out.
func (s *Server) currentUser() []byte {
	if !s.cfg.Device.SignedIn() {
		return nil
	}
	return s.profile()
}
