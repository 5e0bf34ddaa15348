package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"cairn"
	"cairn/api"
)

// startAfter is when work begins on a websocket whose client sends nothing.
const startAfter = time.Second

// A beginning makes sure that nothing that is known beforehand is in the way of a
// job, which the first event of a stream could not tell, and then begins it.
type beginning struct {
	ready func(context.Context) error
	begin func(context.Context) (cairn.Watch, error)
}

func (s *Server) creation() beginning {
	return beginning{s.cfg.Backups.Ready, s.cfg.Jobs.Create}
}

func (s *Server) restoration(id string) beginning {
	b := cairn.Backup{ID: id}
	return beginning{
		ready: func(ctx context.Context) (err error) {
			b, err = s.cfg.Backups.Backup(ctx, id)
			return err
		},
		begin: func(ctx context.Context) (cairn.Watch, error) { return s.cfg.Jobs.Restore(ctx, b) },
	}
}

// streamCreation is POST /backups/create/streamed.
func (s *Server) streamCreation(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	if err := ignoreObject(r); err != nil {
		return err
	}
	return s.streamJob(w, r, s.creation())
}

// streamRestoration is POST /backup/{backup}/restore/streamed.
func (s *Server) streamRestoration(w http.ResponseWriter, r *http.Request) error {
	id, err := s.named(r)
	if err != nil {
		return err
	}
	return s.streamJob(w, r, s.restoration(id))
}

// streamJob does a job, and answers with one Progress when it has ended, or with
// one at each change, as the request's Accept has it.
func (s *Server) streamJob(w http.ResponseWriter, r *http.Request, job beginning) error {
	media := streamType(r)
	if media != "" {
		if err := job.ready(r.Context()); err != nil {
			return err
		}
	}
	watch, err := job.begin(r.Context())
	if err != nil {
		return err
	}
	if media == "" {
		return s.writeProgress(w, r, watch)
	}
	return s.follow(r.Context(), jobStates(watch), s.writer(w, media))
}

// watchCreation is GET /backups/create/streamed/websocket: it begins a creation
// and sends its Progress. Without a websocket, it shows that of the creation that
// runs, is the next, or was the last.
func (s *Server) watchCreation(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	if websocketRequested(r) {
		return s.jobSocket(w, r, s.creation())
	}
	for _, job := range s.cfg.Jobs.List() {
		if job.Kind == cairn.Creation {
			writeJSON(w, api.JSON, http.StatusOK, api.ProgressOf(job))
			return nil
		}
	}
	if err := s.cfg.Backups.Ready(r.Context()); err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, api.State{Status: api.StatusUnknown})
	return nil
}

// watchRestoration is GET /backup/{backup}/restore/streamed/websocket: it restores
// a backup and sends the Progress of that. Without a websocket, it shows that of
// its newest restoration.
func (s *Server) watchRestoration(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	id, err := backupID(r)
	if err != nil {
		return err
	}
	if websocketRequested(r) {
		return s.jobSocket(w, r, s.restoration(id))
	}
	job, err := s.cfg.Jobs.Restoration(r.Context(), id)
	if err == nil {
		writeJSON(w, api.JSON, http.StatusOK, api.ProgressOf(job))
		return nil
	}
	if cairn.CodeOf(err) != cairn.CodeJobNotFound {
		return err
	}
	b, err := s.cfg.Backups.Backup(r.Context(), id)
	if err != nil {
		return err
	}
	backup := api.BackupOf(b)
	writeJSON(w, api.JSON, http.StatusOK, api.State{Status: api.StatusUnknown, Backup: &backup})
	return nil
}

// watchAll is GET /backups/streamed/progress: over a websocket, or as lines or
// events where Accept asks for those, what is in progress, and that again at each
// change; else once. It changes nothing, and tells of no document.
func (s *Server) watchAll(w http.ResponseWriter, r *http.Request) error {
	overSocket, media := websocketRequested(r), streamType(r)
	feed := s.cfg.Jobs.Feed()
	if !overSocket && media == "" {
		jobs, err := feed(r.Context())
		if err != nil {
			return err
		}
		writeJSON(w, api.JSON, http.StatusOK, api.AllProgressOf(jobs))
		return nil
	}
	states := func(ctx context.Context) (state, error) {
		jobs, err := feed(ctx)
		// Said again, the jobs that have ended would have ended twice.
		running := make([]cairn.Job, 0, len(jobs))
		for _, job := range jobs {
			if !job.Status.Ended() {
				running = append(running, job)
			}
		}
		return state{now: api.AllProgressOf(jobs), later: api.AllProgressOf(running)}, err
	}
	if overSocket {
		return s.overSocket(w, r, func(c *socket) {
			ctx, writing, end := s.endless(c)
			defer end()
			s.closeSocket(c, s.follow(ctx, states, s.framer(writing, c.conn)))
		})
	}
	if err := s.beginStream(); err != nil {
		return err
	}
	defer s.streams.Done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	err := s.follow(ctx, states, s.writer(w, media))
	if s.life.Err() != nil {
		return nil // a stream without an end of its own ends here
	}
	return err
}

// jobSocket opens a websocket, begins a job when the client says so or does not
// say anything, and sends its Progress. Closing the daemon ends the job, and with
// it this.
func (s *Server) jobSocket(w http.ResponseWriter, r *http.Request, job beginning) error {
	if err := job.ready(r.Context()); err != nil {
		return err
	}
	return s.overSocket(w, r, func(c *socket) { s.closeSocket(c, s.followStarted(r, c, job)) })
}

// followStarted does the part of jobSocket behind the opening.
func (s *Server) followStarted(r *http.Request, c *socket, job beginning) error {
	select {
	case m, ok := <-c.first:
		if !ok {
			return errClientGone // and nothing begins
		}
		if err := startFrame(r, m); err != nil {
			return err
		}
	case <-time.After(startAfter):
	case <-s.life.Done():
		return shuttingDown()
	}
	// Who said so, or has waited so long, may be gone by now.
	watch, err := job.begin(context.WithoutCancel(c.life))
	if err != nil {
		return err
	}
	return s.follow(c.life, jobStates(watch), s.framer(c.life, c.conn))
}

// startFrame checks the message that starts a job: SeededBackup, which says
// nothing, or the Backup of the path.
func startFrame(r *http.Request, m message) error {
	if m.kind != websocket.MessageText {
		return &cairn.Error{Code: cairn.CodeMediaType, Message: "The first frame is not text."}
	}
	frame := []byte("{}")
	if len(m.text) > 0 {
		var err error
		if frame, err = object("The first frame", m.text); err != nil {
			return err
		}
	}
	if r.PathValue("backup") == "" {
		return nil
	}
	return names(r, "first frame", frame)
}

// A state is what a stream says: at once, and while nothing has changed since.
type state struct {
	now, later any
	last       bool // nothing comes after it
}

// jobStates returns the states of one job.
func jobStates(watch cairn.Watch) func(context.Context) (state, error) {
	return func(ctx context.Context) (state, error) {
		job, err := watch(ctx)
		p := api.ProgressOf(job)
		return state{p, p, job.Status.Ended()}, err
	}
}

// follow sends states until the last, or until ctx ends. While nothing changes it
// sends the newest again from time to time: many clients give up a connection on
// which nothing comes for five minutes.
func (s *Server) follow(ctx context.Context, next func(context.Context) (state, error), send func(any) error) error {
	var newest any
	for {
		st, err := until(ctx, time.Now().Add(s.cfg.Pulse), next)
		switch {
		case errors.Is(err, errPulse) && newest == nil:
			continue // there is nothing to say yet
		case errors.Is(err, errPulse):
			err = send(newest)
		case err == nil:
			newest = st.later
			err = send(st.now)
		}
		if err != nil || st.last {
			return err
		}
	}
}

// writer returns what sends values as lines of JSON, or as server-sent events,
// which begins the answer.
func (s *Server) writer(w http.ResponseWriter, media string) func(any) error {
	w.(*response).stall = s.cfg.StreamStall
	w.Header().Set("Content-Type", media)
	before, after := "", ""
	if media == api.SSE {
		before, after = "data: ", "\n" // and the one of the encoder
	}
	return func(v any) error {
		var buf bytes.Buffer
		buf.WriteString(before)
		encode(&buf, v)
		buf.WriteString(after)
		_, err := w.Write(buf.Bytes())
		if err == nil {
			err = w.(*response).control.Flush()
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errClientGone, err)
		}
		return nil
	}
}

// framer returns what sends values as text frames, until ctx ends.
func (s *Server) framer(ctx context.Context, conn *websocket.Conn) func(any) error {
	return func(v any) error {
		var buf bytes.Buffer
		encode(&buf, v)
		ctx, cancel := context.WithTimeout(ctx, s.cfg.StreamStall)
		defer cancel()
		if err := conn.Write(ctx, websocket.MessageText, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))); err != nil {
			return fmt.Errorf("%w: %w", errClientGone, err)
		}
		return nil
	}
}

// closeSocket says goodbye: normally, or with the reason.
func (s *Server) closeSocket(c *socket, err error) {
	code := cairn.CodeOf(err)
	switch {
	case err == nil:
		_ = c.conn.Close(websocket.StatusNormalClosure, "")
	case errors.Is(err, errClientGone):
	case s.life.Err() != nil || code == cairn.CodeShuttingDown:
		_ = c.conn.Close(websocket.StatusGoingAway, "the daemon is stopping")
	case code == cairn.CodeInvalid:
		_ = c.conn.Close(websocket.StatusInvalidFramePayloadData, reason(err))
	case code == cairn.CodeMediaType:
		_ = c.conn.Close(websocket.StatusUnsupportedData, reason(err))
	case code == cairn.CodeTimeout: // it is too far behind
		_ = c.conn.Close(websocket.StatusTryAgainLater, reason(err))
	case c.life.Err() != nil:
	default:
		s.cfg.Log.Error("a stream of progress failed", "err", err)
		_ = c.conn.Close(websocket.StatusInternalError, string(code))
	}
}

// reason returns an error as it may stand in a frame that closes a websocket,
// which has room for 123 bytes.
func reason(err error) string {
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok {
		return ""
	}
	text := e.Message
	if len(text) > 120 {
		text = strings.ToValidUTF8(text[:117], "") + "..."
	}
	return text
}

// streamType returns the type of stream that a request asks for; "" when it asks
// for one document, or for that more than for a stream.
func streamType(r *http.Request) string {
	if r.Method == http.MethodHead {
		return "" // whose answer has no body that could go on
	}
	best, most, document := "", 0.0, 0.0
	for _, accept := range r.Header.Values("Accept") {
		for one := range strings.SplitSeq(accept, ",") {
			media, params, err := mime.ParseMediaType(one)
			if err != nil {
				continue
			}
			q := 1.0
			if text, ok := params["q"]; ok {
				if q, err = strconv.ParseFloat(text, 64); err != nil {
					continue
				}
			}
			switch media {
			case api.NDJSON, api.JSONLines, api.SSE:
				if q > most {
					best, most = media, q
				}
			case api.JSON:
				document = max(document, q)
			}
		}
	}
	if document > most {
		return ""
	}
	return best
}
