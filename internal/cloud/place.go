package cloud

import (
	"context"
)

// Failure returns the error of a driver that could not open the place of a
// cloud, as those of [Open] are.
func Failure(ctx context.Context, url string, err error) error {
	c := &Cloud{url: redact(url)}
	return c.failure(ctx, "opening", descriptionName, err)
}

// Whereabouts returns what to ask a person who has something else at a URL than the
// cloud that was there, as the start of a hint.
func Whereabouts(url string) string {
	if store := storeOf(url); store != nil {
		return "Are the " + store.noun + ", the prefix and the endpoint right?"
	}
	return "Is the right disk mounted?"
}
