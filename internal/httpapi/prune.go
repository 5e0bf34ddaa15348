package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"cairn"
	"cairn/api"
)

// undeleteBackup is POST /v1/backups/{backup}/undelete: Backup -> Backup.
func (s *Server) undeleteBackup(w http.ResponseWriter, r *http.Request) error {
	id, err := s.named(r)
	if err != nil {
		return err
	}
	b, err := s.cfg.Backups.Undelete(r.Context(), id)
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, api.BackupOf(b))
	return nil
}

// deletedBackups is GET /v1/backups/deleted.
func (s *Server) deletedBackups(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	list, err := s.cfg.Backups.Deleted(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, api.DeletedBackupsOf(list))
	return nil
}

// prune is POST /v1/cloud/prune?dry_run=BOOL. It goes on as long as its client
// waits: what is left is for the next time.
func (s *Server) prune(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	if err := ignoreObject(r); err != nil {
		return err
	}
	dry, err := flag(r, "dry_run", false)
	if err != nil {
		return err
	}
	if err := s.cfg.Backups.Ready(r.Context()); err != nil {
		return err
	}
	if err := s.beginStream(); err != nil {
		return err
	}
	defer s.streams.Done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	p := &pruning{changed: make(chan struct{}), newest: api.PruneProgressOf(cairn.PruneProgress{Step: cairn.PruneListing})}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		pruned, err := s.cfg.Backups.Prune(ctx, dry, p.update)
		if err != nil && s.life.Err() != nil {
			err = shuttingDown()
		}
		p.end(pruned, err)
	})
	media := streamType(r)
	if media == "" {
		return s.awaitPruned(w, r, p)
	}
	err = s.follow(r.Context(), p.state, s.writer(w, media))
	if err == nil && p.err != nil {
		s.cfg.Log.Error("prune failed", "err", p.err) // its client has been told
	}
	return err
}

// awaitPruned answers with one document, which may begin with white space; see
// await.
func (s *Server) awaitPruned(w http.ResponseWriter, r *http.Request, p *pruning) error {
	pulse := time.Now().Add(s.cfg.Patience)
	for {
		st, err := until(r.Context(), pulse, p.state)
		switch {
		case errors.Is(err, errPulse):
			w.Header().Set("Content-Type", api.JSON)
			_, _ = io.WriteString(w, " ") // a client that is gone ends the request
			_ = w.(*response).control.Flush()
			pulse = time.Now().Add(s.cfg.Pulse)
		case err != nil:
			return err
		case st.last && p.err != nil:
			return p.err
		case st.last:
			writeJSON(w, api.JSON, http.StatusOK, st.now.(api.PruneProgress).Result)
			return nil
		}
	}
}

// A pruning is how far prune is, for the one who waits. It keeps the newest state
// only.
type pruning struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change that is told
	newest  api.PruneProgress
	next    time.Time // when the next change is told
	told    bool
	err     error // when it has ended
}

// pruneStep is how often changes are told at most.
const pruneStep = 250 * time.Millisecond

// update is what prune reports to.
func (p *pruning) update(progress cairn.PruneProgress) { p.set(api.PruneProgressOf(progress), nil) }

// end keeps the outcome.
func (p *pruning) end(pruned cairn.Pruned, err error) {
	p.mu.Lock()
	last := p.newest
	p.mu.Unlock()
	result := api.PrunedOf(pruned)
	last.Status, last.Result = cairn.JobCompleted, &result
	if err != nil {
		problem := api.ProblemOf(err)
		last.Status, last.Problem = cairn.JobFailed, &api.Cause{Code: problem.Code, Detail: problem.Detail, Hint: problem.Hint}
	}
	p.set(last, err)
}

func (p *pruning) set(newest api.PruneProgress, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.newest.Status.Ended() {
		return // what is left to itself may still tell of its steps
	}
	same := newest.Step == p.newest.Step && !newest.Status.Ended()
	p.newest, p.err = newest, err
	now := time.Now()
	if same && now.Before(p.next) {
		return
	}
	p.next, p.told = now.Add(pruneStep), false
	close(p.changed)
	p.changed = make(chan struct{})
}

// state waits for a state that was not told.
func (p *pruning) state(ctx context.Context) (state, error) {
	for {
		p.mu.Lock()
		newest, told, changed := p.newest, p.told, p.changed
		p.told = true
		p.mu.Unlock()
		if !told {
			return state{newest, newest, newest.Status.Ended()}, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state{}, context.Cause(ctx)
		}
	}
}
