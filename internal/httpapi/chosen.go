package httpapi

import (
	"context"
	"fmt"
	"iter"
	"net/http"

	"cairn"
	"cairn/internal/rawjson"
)

// backUpAssets is POST /backup: a backup of the assets in the body, as they
// came, or of all local ones without a body.
func (s *Server) backUpAssets(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	spooled, err := readAssets(r, s.cfg.Spool)
	if err != nil {
		return told(err, "Nothing was backed up.")
	}
	// One failure to remove it is of no use to the client, and start-up does it.
	defer func() { _ = spooled.remove() }()
	documents := spooled.documents()
	if spooled.all {
		// The work outlives the request, and so does its reading. It is not one
		// moment of the database, but has each asset once.
		documents = s.cfg.Documents.List(context.WithoutCancel(r.Context()), cairn.CollectionAssets)
	}
	return s.createFrom(w, r, documents)
}

// backUpAsset is POST /backup/asset: a backup of the asset in the body.
func (s *Server) backUpAsset(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	body, err := readObject(r)
	if err != nil {
		return err
	}
	doc, err := assetOf(body, "The body")
	if err != nil {
		return err
	}
	return s.createFrom(w, r, func(yield func(cairn.Document, error) bool) { yield(doc, nil) })
}

func (s *Server) createFrom(w http.ResponseWriter, r *http.Request, documents iter.Seq2[cairn.Document, error]) error {
	watch, err := s.cfg.Jobs.CreateFrom(r.Context(), documents)
	if err != nil {
		return err
	}
	// Also when the client goes away: the documents lie where it sent them.
	defer func() { _, _ = watch.Wait(context.WithoutCancel(r.Context())) }()
	return s.writeDone(w, r, watch)
}

// assetOf returns the document of an asset, compacted JSON. where is the place
// of the asset in words.
func assetOf(text []byte, where string) (cairn.Document, error) {
	id, ok := rawjson.Text(rawjson.Get(text, "id"))
	if !ok {
		return cairn.Document{}, &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: where + " is not an asset with an id.",
			Hint:    "Send an Asset as GET /asset/{id} answers it. POST /backup without a body backs up all assets that are here.",
		}
	}
	doc := cairn.Document{Collection: cairn.CollectionAssets, ID: id, JSON: text}
	if err := checkDepth(text); err != nil {
		return doc, err
	}
	return doc, doc.Validate()
}

const (
	// maxAssetsBytes bounds the body of POST /backup, and maxAssets the assets
	// in it: what is kept of each, to find one that comes twice, is in memory.
	maxAssetsBytes = 256 << 20
	maxAssets      = 1_000_000
)

func assetsTooLarge() error {
	return &cairn.Error{
		Code:    cairn.CodeTooLarge,
		Message: fmt.Sprintf("The body is larger than %d MiB.", maxAssetsBytes>>20),
		Hint:    "Send fewer assets at a time. POST /backup without a body backs up all assets that are here, however many.",
	}
}

func tooManyAssets() error {
	return &cairn.Error{
		Code:    cairn.CodeTooLarge,
		Message: fmt.Sprintf("The body has more than %d assets.", maxAssets),
		Hint:    "Send fewer assets at a time. POST /backup without a body backs up all assets that are here, however many.",
	}
}

func assetTooLarge(where string) error {
	return &cairn.Error{
		Code:    cairn.CodeTooLarge,
		Message: fmt.Sprintf("%s is larger than %d MiB.", where, maxBodyBytes>>20),
		Hint:    "An asset can have 32 MiB of compacted JSON.",
	}
}

func badAssets(message string) error {
	return &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: message,
		Hint:    `Send {"iterable":[...]} with the assets, each once and with its id, or no body for all assets that are here.`,
	}
}
