package connection

import (
	"context"
	"fmt"

	"cairn/internal/bucket"
)

// A remoteBucket is a bucket of a store on a network.
type remoteBucket interface {
	bucket.Bucket
	// Foreign returns an object below a prefix that none of ours can be named like.
	Foreign(ctx context.Context, prefix string) (string, error)
	// Close closes the connections that no call uses.
	Close()
}

// A bucketLocation is where in a store a cloud is, as its driver has it.
type bucketLocation[L any] interface {
	String() string
	Place() string // without what only says how to get there
	Below() string // the prefix
	Outer() []L    // whose prefixes it is below
}

// A bucketOpener opens the bucket of a place.
type bucketOpener interface {
	open(ctx context.Context) (b remoteBucket, prefix string, outer []outerPlace, err error)
}

// An outerPlace is one that a place is below.
type outerPlace struct{ url, prefix string }

// opensAt is a bucketOpener for a location.
type opensAt[L bucketLocation[L], B remoteBucket] struct {
	at   L
	with func(context.Context, L) (B, error)
}

func (o *opensAt[L, B]) open(ctx context.Context) (remoteBucket, string, []outerPlace, error) {
	b, err := o.with(ctx, o.at)
	if err != nil {
		return nil, "", nil, err
	}
	var outer []outerPlace
	for _, l := range o.at.Outer() {
		outer = append(outer, outerPlace{l.String(), l.Below()})
	}
	return b, o.at.Below(), outer, nil
}

// bucketPlace reads the URL of a bucket.
func bucketPlace[L bucketLocation[L], B remoteBucket](given string, parse func(string) (L, error), open func(context.Context, L) (B, error)) (Place, error) {
	l, err := parse(given)
	if err != nil {
		return Place{}, fmt.Errorf("the cloud %s: %w", shown(given), err)
	}
	return Place{bucket: &opensAt[L, B]{l, open}, url: l.String(), key: l.Place(), given: true}, nil
}
