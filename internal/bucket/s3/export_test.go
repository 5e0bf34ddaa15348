package s3

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Name returns the name of the bucket in the store.
func (b *Bucket) Name() string { return b.location.Bucket }

// Address returns the URL that an object is asked for at.
func Address(ctx context.Context, b *Bucket, name string) (string, error) {
	request, err := s3.NewPresignClient(b.client).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b.location.Bucket, Key: &name})
	if err != nil {
		return "", err
	}
	address, _, _ := strings.Cut(request.URL, "?")
	return address, nil
}
