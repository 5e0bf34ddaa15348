package httpapi

import (
	"bufio"
	"net/http"
	"slices"
	"strings"

	"cairn"
	"cairn/api"
	"cairn/internal/asset"
	"cairn/internal/rawjson"
)

// createAsset is POST /assets/create: Seed -> Asset.
func (s *Server) createAsset(w http.ResponseWriter, r *http.Request) error {
	contents, err := flag(r, "transferables", true)
	if err != nil {
		return err
	}
	seed, err := readObject(r)
	if err != nil {
		return err
	}
	id := s.cfg.NewID()
	text, err := asset.FromSeed(seed, asset.Stamp{
		ID:      id,
		Format:  s.cfg.NewID(),
		Creator: s.cfg.Device.User(),
		Now:     s.cfg.Now(),
		NewID:   s.cfg.NewID,
	})
	if err != nil {
		return err
	}
	if err := checkDepth(text); err != nil {
		return err
	}
	doc := cairn.Document{Collection: cairn.CollectionAssets, ID: id, JSON: text}
	if _, err := s.cfg.Documents.Apply(r.Context(), []cairn.Document{doc}); err != nil {
		return err
	}
	return writeAsset(w, doc, contents)
}

func writeAsset(w http.ResponseWriter, doc cairn.Document, contents bool) error {
	return stream(w, api.JSON, func(buf *bufio.Writer) error {
		asset.Render(buf, doc.JSON, contents)
		return nil
	})
}

// listAssets is GET /assets. The rows are streamed, never gathered.
func (s *Server) listAssets(w http.ResponseWriter, r *http.Request) error {
	contents, err := flag(r, "transferables", true)
	if err != nil {
		return err
	}
	return stream(w, api.JSON, func(buf *bufio.Writer) error {
		buf.WriteString(`{"iterable":[`)
		first, out := true, asset.NewRenderer(buf, contents)
		for doc, err := range s.cfg.Documents.List(r.Context(), cairn.CollectionAssets) {
			if err != nil {
				return err
			}
			if !first {
				buf.WriteByte(',')
			}
			first = false
			out.Render(doc.JSON)
			if _, err := buf.Write(nil); err != nil {
				return clientGone(err)
			}
		}
		buf.WriteString(`]}`)
		return nil
	})
}

// getAsset is GET /asset/{id} and GET /assets/{id}.
func (s *Server) getAsset(w http.ResponseWriter, r *http.Request) error {
	contents, err := flag(r, "transferables", true)
	if err != nil {
		return err
	}
	doc, err := s.cfg.Documents.Get(r.Context(), cairn.CollectionAssets, r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeAsset(w, doc, contents)
}

// updateAsset is POST /asset/update: the given fields are merged into the
// asset.
func (s *Server) updateAsset(w http.ResponseWriter, r *http.Request) error {
	contents, err := flag(r, "transferables", true)
	if err != nil {
		return err
	}
	patch, err := readObject(r)
	if err != nil {
		return err
	}
	id, err := bodyID(patch, "asset")
	if err != nil {
		return err
	}
	doc, err := s.cfg.Documents.Update(r.Context(), cairn.CollectionAssets, id, func(old []byte) ([]byte, error) {
		if err := s.editable(r, id, old); err != nil {
			return nil, err
		}
		text, _, err := asset.Update(old, patch, s.cfg.Now())
		if err != nil {
			return nil, err
		}
		return text, checkDepth(text)
	})
	if err != nil {
		return err
	}
	return writeAsset(w, doc, contents)
}

// editable returns an error unless the stored text may be changed: it is what
// the request's If-Match names, if it has one, and it is whole. Text that a
// failing disk has altered must not be written again as if it were right.
func (s *Server) editable(r *http.Request, id string, stored []byte) error {
	if !matches(r, stored) {
		return &cairn.Error{
			Code:    cairn.CodeChanged,
			Message: "The asset " + cairn.Quote(id) + " was changed meanwhile. Nothing was changed by this request.",
			Hint:    "Read it again, and send the change for what it is now.",
		}
	}
	if _, err := rawjson.Compact(nil, stored); err != nil {
		return &cairn.Error{
			Code:    cairn.CodeDamaged,
			Message: "The stored text of the asset " + cairn.Quote(id) + " is damaged. Nothing was changed.",
			Hint:    "Check the health of the disk of the data folder.",
			Err:     err,
		}
	}
	return nil
}

// matches reports whether the request has no If-Match, or one that names the
// stored text: by its tag, in a list of tags, or as * alone, which is any. A tag
// of ours holds nothing that separates tags. Source: RFC 9110, section 13.1.1.
func matches(r *http.Request, stored []byte) bool {
	match := strings.TrimSpace(strings.Join(r.Header.Values("If-Match"), ","))
	tags := strings.FieldsFunc(match, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
	return match == "" || match == "*" || slices.Contains(tags, api.EntityTag(stored))
}

// bodyID returns the id in a body that says what to change.
func bodyID(body []byte, what string) (string, error) {
	id, ok := rawjson.Text(rawjson.Get(body, "id"))
	if !ok {
		return "", &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The body names no " + what + ": it has no id.",
			Hint:    "Send the " + what + " with its id and the fields to change.",
		}
	}
	return id, nil
}

// deleteAsset is POST /assets/{id}/delete. Deleting what was deleted before
// succeeds again, so that a client whose answer got lost can repeat it.
func (s *Server) deleteAsset(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if cairn.ValidateID(id) != nil {
		return noAsset(id)
	}
	if err := ignoreObject(r); err != nil {
		return err
	}
	results, err := s.cfg.Documents.Apply(r.Context(), []cairn.Document{{Collection: cairn.CollectionAssets, ID: id}})
	if err != nil {
		return err
	}
	if results[0].Outcome == cairn.Missing && results[0].Revision == 0 {
		return noAsset(id)
	}
	writeText(w, id)
	return nil
}

func noAsset(id string) error {
	return &cairn.Error{
		Code:    cairn.CodeGone,
		Message: "There is no asset " + cairn.Quote(id) + ".",
		Hint:    "It never existed here. cairn assets list shows those that do.",
	}
}

// getFormat is GET /format/{id}.
func (s *Server) getFormat(w http.ResponseWriter, r *http.Request) error {
	contents, err := formatContents(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	doc, err := s.findFormat(r, id)
	if err != nil {
		return err
	}
	return writeFormat(w, doc, id, contents)
}

// findFormat returns the asset that has the format.
func (s *Server) findFormat(r *http.Request, id string) (cairn.Document, error) {
	doc, err := s.cfg.Documents.Find(r.Context(), cairn.CollectionAssets, id)
	if cairn.CodeOf(err) == cairn.CodeGone {
		return doc, noFormat(id)
	}
	return doc, err
}

// formatContents reads the parameter that the original API calls transferable
// on formats and transferables elsewhere; both names are taken.
func formatContents(r *http.Request) (bool, error) {
	one, err := flag(r, "transferable", true)
	if err != nil {
		return false, err
	}
	all, err := flag(r, "transferables", true)
	return one && all, err
}

func writeFormat(w http.ResponseWriter, doc cairn.Document, id string, contents bool) error {
	return stream(w, api.JSON, func(buf *bufio.Writer) error {
		if !asset.RenderFormat(buf, doc.JSON, id, contents) {
			return noFormat(id)
		}
		return nil
	})
}

func noFormat(id string) error {
	return &cairn.Error{
		Code:    cairn.CodeGone,
		Message: "There is no format " + cairn.Quote(id) + ".",
		Hint:    "It was removed from its asset, or never existed.",
	}
}

// updateFormatValue is POST /format/update/value: it sets the content of one
// format.
func (s *Server) updateFormatValue(w http.ResponseWriter, r *http.Request) error {
	contents, err := formatContents(r)
	if err != nil {
		return err
	}
	format, err := readObject(r)
	if err != nil {
		return err
	}
	id, err := bodyID(format, "format")
	if err != nil {
		return err
	}
	doc, err := s.findFormat(r, id)
	if err != nil {
		return err
	}
	doc, err = s.cfg.Documents.Update(r.Context(), cairn.CollectionAssets, doc.ID, func(old []byte) ([]byte, error) {
		if err := s.editable(r, doc.ID, old); err != nil {
			return nil, err
		}
		text, _, ok := asset.UpdateFormat(old, id, format, s.cfg.Now())
		if !ok {
			return nil, noFormat(id)
		}
		return text, checkDepth(text)
	})
	if err != nil {
		return err
	}
	return writeFormat(w, doc, id, contents)
}
