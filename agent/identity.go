package agent

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/tillside/tillside/agent/internal/private"
	"github.com/tillside/tillside/sync/outbox"
	"github.com/tillside/tillside/sync/wire"
)

// Files of the data folder beside the two of the store.
const (
	IdentityFile = "identity.json" // who this till is and its private key
	SecretFile   = "secret"        // seals member tokens
	AddressFile  = "address"       // where the running agent listens
	runningFile  = "running"       // there while the agent runs: its stop was not clean
)

// Identity is what enrolment brought, and the private key made for it.
type Identity struct {
	wire.EnrolAnswer
	PrivateKey []byte    `json:"private_key"` // Ed25519 seed
	Server     string    `json:"server"`
	Enrolled   time.Time `json:"enrolled"`
}

// Key is the device's signing key.
func (i *Identity) Key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(i.PrivateKey) }

// Outbox is the identity as the journal knows it.
func (i *Identity) Outbox() outbox.Identity { return outbox.Identity{Device: i.Device, Epoch: i.Epoch} }

// String tells no secret.
func (i *Identity) String() string {
	return fmt.Sprintf("till %s in store %s (%s, epoch %d)", i.Till, i.Store, i.Device, i.Epoch)
}

// LoadIdentity reads who this till is; nil when it is not enrolled.
func LoadIdentity(dir string) (*Identity, error) {
	b, err := private.ReadSealed(filepath.Join(dir, IdentityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	var i Identity
	if err := json.Unmarshal(b, &i); err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	if len(i.PrivateKey) != ed25519.SeedSize || !wire.ValidDevice(i.Device) || i.Epoch == 0 || len(i.LookupKey) < 16 {
		return nil, errors.New("read identity: the file is not complete; enrol again")
	}
	return &i, nil
}

// save writes the identity so that a power cut leaves the old or the new one.
func (i *Identity) save(dir string) error {
	b, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	return private.WriteSealed(filepath.Join(dir, IdentityFile), append(b, '\n'))
}

// secret reads the key of member tokens, making it at the first start.
func secret(dir string) ([]byte, error) {
	path := filepath.Join(dir, SecretFile)
	b, err := private.ReadSealed(path)
	if err == nil && len(b) == 32 {
		return b, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	b = make([]byte, 32)
	rand.Read(b)
	if err := private.WriteSealed(path, b); err != nil {
		return nil, fmt.Errorf("write secret: %w", err)
	}
	return b, nil
}

// ReadSecret gives the key of member tokens to the commands of this program.
func ReadSecret(dir string) ([]byte, error) {
	return private.ReadSealed(filepath.Join(dir, SecretFile))
}
