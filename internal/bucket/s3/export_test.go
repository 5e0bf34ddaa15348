package s3

// OpenWithStall is Open with another time for which a connection may stand still.
var OpenWithStall = open

// Name returns the name of the bucket in the store.
func (b *Bucket) Name() string { return b.location.Bucket }
