package cloud

import "context"

// Failure returns the error of a driver that could not open the place of a
// cloud, as those of [Open] are.
func Failure(ctx context.Context, url string, err error) error {
	c := &Cloud{url: redact(url)}
	return c.failure(ctx, "opening", descriptionName, err)
}
