package state

// Reader is an ordered map as it is read. Keys and values that it hands out must not be modified.
type Reader interface {
	// Get returns the value of key, nil if there is none. No stored value is empty.
	Get(key []byte) ([]byte, error)
	// Scan calls fn for the keys in [from, to), rising, until fn says that it wants no more. Key and value are valid
	// during the call only; fn may Get, but neither Scan nor change the map.
	Scan(from, to []byte, fn func(key, value []byte) (more bool)) error
}

// KV is an ordered map that can be changed. It may keep the slices it is given: the caller does not modify them any more.
type KV interface {
	Reader
	Set(key, value []byte) error
	// Delete removes key; an absent key is no error.
	Delete(key []byte) error
}

// scan is Scan for callbacks that can fail.
func scan(r Reader, from, to []byte, fn func(key, value []byte) (more bool, err error)) error {
	var failed error
	err := r.Scan(from, to, func(key, value []byte) bool {
		more, err := fn(key, value)
		failed = err
		return more && err == nil
	})
	if failed != nil {
		return failed
	}
	return err
}
