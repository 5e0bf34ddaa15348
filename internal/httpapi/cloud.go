package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"cairn"
	"cairn/api"
)

// Clouds connects the device to clouds, and looks after their keys. Package
// connection describes its methods of the same names.
type Clouds interface {
	Connect(ctx context.Context, r cairn.CloudRequest) (cairn.Connection, error)
	Disconnect(ctx context.Context) (cloud string, err error)
	List(ctx context.Context) ([]cairn.Connection, error)
	Lock(ctx context.Context) error
	MoveKey(ctx context.Context, to cairn.KeyPlace) error
	AcknowledgeKit(ctx context.Context, code string) error
	Passphrases(ctx context.Context) ([]cairn.Slot, error)
	AddPassphrase(ctx context.Context, p cairn.Secret) (cairn.Slot, error)
	ChangePassphrase(ctx context.Context, before, now cairn.Secret) error
	RemovePassphrase(ctx context.Context, p cairn.Secret) ([]cairn.Slot, error)
	RemoveSlot(ctx context.Context, name string) error
}

// connectCloud is POST /v1/cloud/connect: CloudRequest -> Connection.
func (s *Server) connectCloud(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	request, err := bodyOf[api.CloudRequest](r)
	if err != nil {
		return err
	}
	c, err := s.cfg.Clouds.Connect(r.Context(), request.Request())
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, api.ConnectionOf(c))
	return nil
}

// disconnectCloud is POST /v1/cloud/disconnect.
func (s *Server) disconnectCloud(w http.ResponseWriter, r *http.Request) error {
	return s.noContent(w, r, func() error {
		_, err := s.cfg.Clouds.Disconnect(r.Context())
		return err
	})
}

// listClouds is GET /v1/clouds.
func (s *Server) listClouds(w http.ResponseWriter, r *http.Request) error {
	list, err := s.cfg.Clouds.List(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, api.ConnectionsOf(list))
	return nil
}

// slotsTime bounds how long cloudDetails waits for the list of passphrases.
const slotsTime = 5 * time.Second

// cloudDetails is GET /v1/cloud. It looks into the bucket, for some seconds.
func (s *Server) cloudDetails(w http.ResponseWriter, r *http.Request) error {
	status := s.cfg.Backups.Cloud(r.Context()) // first: it finds out which cloud that is
	list, err := s.cfg.Clouds.List(r.Context())
	if err != nil {
		return err
	}
	details := api.CloudDetails{Connection: api.ConnectionOf(list[0]), Status: api.CloudStatusOf(status)}
	if status.State == cairn.CloudReady {
		ctx, cancel := context.WithTimeout(r.Context(), slotsTime)
		defer cancel()
		slots, err := s.cfg.Clouds.Passphrases(ctx)
		if n := len(slots); err == nil {
			details.Passphrases = &n
		} else {
			s.cfg.Log.Warn("how many passphrases the cloud has is not known", "err", err)
		}
	}
	writeJSON(w, api.JSON, http.StatusOK, details)
	return nil
}

// lockCloud is POST /v1/cloud/lock.
func (s *Server) lockCloud(w http.ResponseWriter, r *http.Request) error {
	return s.noContent(w, r, func() error { return s.cfg.Clouds.Lock(r.Context()) })
}

// moveKey is POST /v1/cloud/key: KeyRequest.
func (s *Server) moveKey(w http.ResponseWriter, r *http.Request) error {
	request, err := bodyOf[api.KeyRequest](r)
	if err != nil {
		return err
	}
	if err := s.cfg.Clouds.MoveKey(r.Context(), request.Store); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// acknowledgeKit is POST /v1/cloud/recovery-kit/acknowledge: KitRequest.
func (s *Server) acknowledgeKit(w http.ResponseWriter, r *http.Request) error {
	request, err := bodyOf[api.KitRequest](r)
	if err != nil {
		return err
	}
	if err := s.cfg.Clouds.AcknowledgeKit(r.Context(), request.Code); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// listPassphrases is GET /v1/cloud/passphrases.
func (s *Server) listPassphrases(w http.ResponseWriter, r *http.Request) error {
	if err := s.signedIn(); err != nil {
		return err
	}
	slots, err := s.cfg.Clouds.Passphrases(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, api.SlotsOf(slots))
	return nil
}

// addPassphrase is POST /v1/cloud/passphrases: PassphraseRequest -> Slot.
func (s *Server) addPassphrase(w http.ResponseWriter, r *http.Request) error {
	request, err := s.passphraseRequest(r)
	if err != nil {
		return err
	}
	slot, err := s.cfg.Clouds.AddPassphrase(r.Context(), cairn.NewSecret(request.Passphrase))
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, api.SlotOf(slot))
	return nil
}

// changePassphrase is POST /v1/cloud/passphrases/change: PassphraseRequest.
func (s *Server) changePassphrase(w http.ResponseWriter, r *http.Request) error {
	request, err := s.passphraseRequest(r)
	if err != nil {
		return err
	}
	if err := s.cfg.Clouds.ChangePassphrase(r.Context(), cairn.NewSecret(request.Passphrase), cairn.NewSecret(request.New)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// removePassphrase is POST /v1/cloud/passphrases/remove: PassphraseRequest -> Slots,
// those that were removed.
func (s *Server) removePassphrase(w http.ResponseWriter, r *http.Request) error {
	request, err := s.passphraseRequest(r)
	if err != nil {
		return err
	}
	if request.Name != "" && request.Passphrase != "" {
		return &cairn.Error{
			Code:    cairn.CodeInvalid,
			Message: "The body has a passphrase and the name of one.",
			Hint:    "One of them is enough. Nothing was changed.",
		}
	}
	var removed []cairn.Slot
	if request.Name != "" {
		err = s.cfg.Clouds.RemoveSlot(r.Context(), request.Name)
		removed = []cairn.Slot{{Name: request.Name}}
	} else {
		removed, err = s.cfg.Clouds.RemovePassphrase(r.Context(), cairn.NewSecret(request.Passphrase))
	}
	if err != nil {
		return err
	}
	writeJSON(w, api.JSON, http.StatusOK, api.SlotsOf(removed))
	return nil
}

// passphraseRequest reads the body of a request about passphrases.
func (s *Server) passphraseRequest(r *http.Request) (api.PassphraseRequest, error) {
	if err := s.signedIn(); err != nil {
		return api.PassphraseRequest{}, err
	}
	return bodyOf[api.PassphraseRequest](r)
}

// noContent answers a request whose body says nothing, when do has been done.
func (s *Server) noContent(w http.ResponseWriter, r *http.Request, do func() error) error {
	if err := ignoreObject(r); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// bodyOf reads a body of ours as what it should be. A field that is not known is an
// error: what it asks for would not be done. No error holds any of the values, which
// may be secrets.
func bodyOf[T any](r *http.Request) (v T, err error) {
	body, err := readObject(r)
	if err != nil {
		return v, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err = d.Decode(&v)
	if err == nil {
		return v, nil
	}
	bad := &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: "The body has a field that means nothing here.",
		Hint:    "GET /openapi.yaml describes what it can hold. Nothing was changed.",
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		bad.Message = fmt.Sprintf("The field %s of the body is not of the type that it should be.", cairn.Quote(e.Field))
	}
	return v, bad
}
