package client

import (
	"context"
	"encoding/json"
	"net/http"

	"cairn"
	"cairn/api"
)

// Clouds returns the clouds that the daemon's device has used, the one that is used
// now first.
func (c *Client) Clouds(ctx context.Context) ([]api.Connection, error) {
	all, err := answer[api.Connections](ctx, c, http.MethodGet, "/v1/clouds")
	return all.Clouds, err
}

// Cloud returns the cloud that is used, and what it holds.
func (c *Client) Cloud(ctx context.Context) (api.CloudDetails, error) {
	return answer[api.CloudDetails](ctx, c, http.MethodGet, "/v1/cloud")
}

// ConnectCloud has a cloud used from now on: see [cairn.CloudRequest].
func (c *Client) ConnectCloud(ctx context.Context, r cairn.CloudRequest) (api.Connection, error) {
	return answerTo[api.Connection](ctx, c, http.MethodPost, "/v1/cloud/connect", encoded(api.CloudRequestOf(r)))
}

// DisconnectCloud has the cloud not used until it is connected again.
func (c *Client) DisconnectCloud(ctx context.Context) error {
	return c.post(ctx, "/v1/cloud/disconnect", nil)
}

// LockCloud has the device forget the key of the cloud. It is cairn.CodeKeyNeeded
// where nothing else may open that.
func (c *Client) LockCloud(ctx context.Context) error { return c.post(ctx, "/v1/cloud/lock", nil) }

// MoveKey has the key of the cloud kept in a file or in the keychain.
func (c *Client) MoveKey(ctx context.Context, to cairn.KeyPlace) error {
	return c.post(ctx, "/v1/cloud/key", encoded(api.KeyRequest{Store: to}))
}

// AcknowledgeKit says that the user has the recovery kit, which shows the code.
func (c *Client) AcknowledgeKit(ctx context.Context, code string) error {
	return c.post(ctx, "/v1/cloud/recovery-kit/acknowledge", encoded(api.KitRequest{Code: code}))
}

// Passphrases returns the passphrases of the cloud, oldest first.
func (c *Client) Passphrases(ctx context.Context) ([]api.Slot, error) {
	all, err := answer[api.Slots](ctx, c, http.MethodGet, "/v1/cloud/passphrases")
	return all.Passphrases, err
}

// AddPassphrase has the cloud open with one more passphrase.
func (c *Client) AddPassphrase(ctx context.Context, p cairn.Secret) (api.Slot, error) {
	return answerTo[api.Slot](ctx, c, http.MethodPost, "/v1/cloud/passphrases", encoded(api.PassphraseRequest{Passphrase: p.Reveal()}))
}

// ChangePassphrase has the cloud open with now in the place of before.
func (c *Client) ChangePassphrase(ctx context.Context, before, now cairn.Secret) error {
	return c.post(ctx, "/v1/cloud/passphrases/change", encoded(api.PassphraseRequest{Passphrase: before.Reveal(), New: now.Reveal()}))
}

// RemovePassphrase has the cloud not open with a passphrase any more, or with that
// of the slot of this name if p is empty, and returns what was removed.
func (c *Client) RemovePassphrase(ctx context.Context, p cairn.Secret, name string) ([]api.Slot, error) {
	body := encoded(api.PassphraseRequest{Passphrase: p.Reveal(), Name: name})
	all, err := answerTo[api.Slots](ctx, c, http.MethodPost, "/v1/cloud/passphrases/remove", body)
	return all.Passphrases, err
}

// encoded returns a request of ours as JSON: it holds text and flags only.
func encoded(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a type that cannot be encoded
	}
	return text
}
