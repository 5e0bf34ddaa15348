package s3

// Name returns the name of the bucket in the store.
func (b *Bucket) Name() string { return b.location.Bucket }
