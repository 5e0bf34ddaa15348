package azure

// Address returns the URL of the container.
func (b *Bucket) Address() string { return b.container.URL() }
