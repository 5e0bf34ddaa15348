package gcs

import (
	"context"
	"errors"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"cairn/internal/bucket/remote"
)

// tokens are what requests are allowed with. The library that gets them does not hear
// of a context, and has failures of a connection as text only.
type tokens struct {
	source oauth2.TokenSource
	fetch  *remote.Witness // of the connections of source
	flight singleflight.Group
}

// get returns a token that is good for a while. When ctx ends, getting one goes on,
// for whoever comes next.
func (t *tokens) get(ctx context.Context) (*oauth2.Token, error) {
	got := t.flight.DoChan("", func() (any, error) {
		t.fetch.Forget()
		token, err := t.source.Token()
		if err == nil && token.AccessToken == "" {
			err = errors.New("the token is empty")
		}
		if err != nil {
			err = tokenError(err, t.fetch.Err())
		}
		return token, err
	})
	select {
	case result := <-got:
		token, _ := result.Val.(*oauth2.Token)
		return token, result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
