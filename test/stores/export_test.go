package stores

import "cairn/internal/bucket"

// Outside returns a store whose calls are made outside of a bubble.
func Outside(b bucket.Bucket) bucket.Bucket { return outside{b} }
