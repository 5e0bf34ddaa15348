package httpapi

import (
	"net/http"

	"github.com/google/uuid"

	"cairn"
	"cairn/api"
	"cairn/internal/rawjson"
)

// health is GET /.well-known/health. It waits for nothing.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	writeText(w, "ok:"+s.cfg.Device.Installation())
	return nil
}

// version is GET /.well-known/version: the API level, which clients compare.
func (s *Server) version(w http.ResponseWriter, _ *http.Request) error {
	writeText(w, cairn.APILevel)
	return nil
}

// openAPI is GET /openapi.yaml.
func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", api.YAML)
	_, _ = w.Write(api.Spec) // the client is gone
	return nil
}

// daemon is GET /v1/daemon. It waits for nothing.
func (s *Server) daemon(w http.ResponseWriter, _ *http.Request) error {
	st := s.cfg.Status()
	writeJSON(w, api.JSON, http.StatusOK, api.Daemon{
		Version:  st.Version,
		APILevel: cairn.APILevel,
		Platform: string(st.Platform),
		Data:     st.Data,
		URLs:     st.URLs,
	})
	return nil
}

// status is GET /v1/status: what Config.Status says, completed.
func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	cloud := s.cfg.Backups.Cloud(r.Context()) // first: it sees what Last must not name any more
	last, changes, ok, err := s.cfg.Backups.Last(r.Context())
	if err != nil { // a damaged database says so elsewhere; the status is for whoever looks into that
		s.cfg.Log.Warn("the last backup is not known", "err", err)
	}
	st, stats := s.cfg.Status(), s.cfg.Documents.Stats()
	st.APILevel = cairn.APILevel
	st.DeviceName = s.cfg.Device.Name()
	st.User = s.cfg.Device.User()
	st.Database = api.DatabaseStatus{
		Documents: stats.Documents,
		Deletions: stats.Deletions,
		Bytes:     stats.Bytes,
		Revision:  stats.Revision,
		Line:      stats.Line,
		Digest:    stats.Digest.String(),
	}
	st.Cloud = api.CloudStatusOf(cloud)
	if ok {
		st.LastBackup, st.ChangesSinceBackup = api.LastBackupOf(last), &changes
	}
	writeJSON(w, api.JSON, http.StatusOK, st)
	return nil
}

// connect is POST /connect: a client introduces itself and gets the context
// it works in.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) error {
	body, err := readObject(r)
	if err != nil {
		return err
	}
	tracked := rawjson.Get(body, "application")
	if !rawjson.IsNull(tracked) && !rawjson.IsObject(tracked) {
		return &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The application is no object.",
			Hint:    `Send {"application":{"name":"OPEN_SOURCE","version":"1.0.0","platform":"LINUX"}}.`,
		}
	}
	for _, field := range []struct{ name, fallback string }{
		{"name", "UNKNOWN"}, {"version", "0.0.0"}, {"platform", "UNKNOWN"}, {"privacy", "OPEN"},
	} {
		if !rawjson.IsString(rawjson.Get(tracked, field.name)) {
			tracked = rawjson.Replace(tracked, field.name, rawjson.AppendString(nil, field.fallback))
		}
	}
	name, _ := rawjson.Text(rawjson.Get(tracked, "name"))
	var app, health, os, context rawjson.Object
	app.SetText("id", applicationID(s.cfg.Device.Installation(), name))
	application := rawjson.Replace(rawjson.Overlay(app.JSON(), rawjson.Replace(tracked, "id", nil)), "onboarded", []byte("true"))

	os.SetText("id", s.cfg.Device.Installation()).SetText("version", cairn.APILevel)
	health.Set("os", os.JSON())
	context.SetText("os", s.cfg.Device.Installation()).Set("application", application).Set("health", health.JSON())
	if s.cfg.Device.SignedIn() {
		context.Set("user", s.profile())
	}
	return writeRaw(w, context.JSON())
}

// applicationID returns the id of a client by its name, the same each time it
// connects to this installation.
func applicationID(installation, name string) string {
	space, err := uuid.Parse(installation)
	if err != nil {
		space = uuid.NameSpaceOID
	}
	return uuid.NewSHA1(space, []byte(name)).String()
}
