package api

import "cairn"

// A Connection is a cloud that a device knows: see [cairn.Connection].
type Connection struct {
	URL          string         `json:"url"`
	ID           string         `json:"id,omitempty"` // absent as long as it is not known
	Local        bool           `json:"local"`        // it is in the data folder
	Current      bool           `json:"current"`      // it is the one that is used
	Disconnected bool           `json:"disconnected"` // until it is connected again it is not
	Key          cairn.KeyPlace `json:"key,omitempty"`
	BackupsMade  int64          `json:"backups_made"` // in it, by this installation
	// Seen is when it was last opened, and RecoveryKit when the user has said to have
	// its kit, as [Timestamp] writes them; absent for never.
	Seen        string `json:"seen,omitempty"`
	RecoveryKit string `json:"recovery_kit,omitempty"`
}

// ConnectionOf returns what the wire shows of c.
func ConnectionOf(c cairn.Connection) Connection {
	w := Connection{
		URL: c.URL, ID: c.ID, Local: c.Local, Current: c.Current, Disconnected: c.Disconnected, Key: c.Key, BackupsMade: c.Made,
	}
	if !c.Seen.IsZero() {
		w.Seen = Timestamp(c.Seen)
	}
	if !c.Kit.IsZero() {
		w.RecoveryKit = Timestamp(c.Kit)
	}
	return w
}

// Connections is the answer of GET /v1/clouds: the one that is used comes first.
type Connections struct {
	Clouds []Connection `json:"clouds"`
}

// ConnectionsOf returns what the wire shows of them.
func ConnectionsOf(list []cairn.Connection) Connections {
	all := Connections{Clouds: make([]Connection, len(list))}
	for i, c := range list {
		all.Clouds[i] = ConnectionOf(c)
	}
	return all
}

// CloudDetails is the answer of GET /v1/cloud: the cloud that is used, and what it
// holds.
type CloudDetails struct {
	Connection  Connection  `json:"connection"`
	Status      CloudStatus `json:"status"`
	Passphrases *int        `json:"passphrases,omitempty"` // how many open it; absent where that is not known
}

// CloudRequest is the body of POST /v1/cloud/connect: see [cairn.CloudRequest]. It
// holds secrets in the clear, as all types of requests here do: print none.
type CloudRequest struct {
	URL        string `json:"url,omitempty"`
	Create     bool   `json:"create,omitempty"`
	Key        string `json:"key,omitempty"`
	Passphrase string `json:"passphrase,omitempty"`
}

// Request returns the request that the wire shows.
func (r CloudRequest) Request() cairn.CloudRequest {
	return cairn.CloudRequest{URL: r.URL, Create: r.Create, Key: cairn.NewSecret(r.Key), Passphrase: cairn.NewSecret(r.Passphrase)}
}

// CloudRequestOf returns what the wire shows of r.
func CloudRequestOf(r cairn.CloudRequest) CloudRequest {
	return CloudRequest{URL: r.URL, Create: r.Create, Key: r.Key.Reveal(), Passphrase: r.Passphrase.Reveal()}
}

// KeyRequest is the body of POST /v1/cloud/key.
type KeyRequest struct {
	Store cairn.KeyPlace `json:"store"` // file or keychain
}

// KitRequest is the body of POST /v1/cloud/recovery-kit/acknowledge.
type KitRequest struct {
	Code string `json:"code"` // that stands on the kit
}

// A Slot is a passphrase of a cloud: see [cairn.Slot].
type Slot struct {
	Name    string `json:"name"`
	Created string `json:"created,omitempty"` // as [Timestamp] writes it; absent where that is not known
}

// SlotOf returns what the wire shows of s.
func SlotOf(s cairn.Slot) Slot {
	w := Slot{Name: s.Name}
	if !s.Created.IsZero() {
		w.Created = Timestamp(s.Created)
	}
	return w
}

// Slots is a list of them.
type Slots struct {
	Passphrases []Slot `json:"passphrases"`
}

// SlotsOf returns what the wire shows of them.
func SlotsOf(list []cairn.Slot) Slots {
	all := Slots{Passphrases: make([]Slot, len(list))}
	for i, s := range list {
		all.Passphrases[i] = SlotOf(s)
	}
	return all
}

// PassphraseRequest is the body of POST /v1/cloud/passphrases and of what is below
// it: the passphrase that is meant, or the name of its slot, and, to change it, the
// one in its place.
type PassphraseRequest struct {
	Passphrase string `json:"passphrase,omitempty"`
	Name       string `json:"name,omitempty"`
	New        string `json:"new,omitempty"`
}
