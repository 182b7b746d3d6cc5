// Package keys is what the centre knows of the keys that vouch for rulebooks
// and programs: the chain of root documents that says which keys count (package
// sync/trust), and, as long as nobody moved them, the key files themselves.
//
// The first start makes three keys in a folder apart from the database, and
// the first root, so that a chain of shops can begin with nothing to prepare:
//
//	keys/root.key      signs roots; needed once in years, belongs on a stick in a safe
//	keys/release.key   signs lists of programs; belongs with whoever releases them
//	keys/rulebook.key  signs rulebooks; belongs with whoever makes them
//
// A running centre needs none of them. What is signed elsewhere comes back as a
// file and is published as such. While root.key lies here, somebody who takes
// the machine over has it too; `tillside-central keys show` says so.
package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/trust"
)

var (
	// ErrKey is wrapped when a key file cannot be used.
	ErrKey = errors.New("key cannot be used")
	// ErrNoRoot is returned when the database has no root yet.
	ErrNoRoot = errors.New("there is no root yet; start the centre once")
)

// rootLife is how long the first root is good. A newer one with the same keys
// is a minute's work with the key from the safe.
const rootLife = 5 // years

// Files are where the keys lie unless somebody has moved them.
type Files struct{ Root, Rulebook, Release string }

// FilesIn names the key files beside a rulebook key.
func FilesIn(rulebookKey string) Files {
	dir := filepath.Dir(rulebookKey)
	return Files{filepath.Join(dir, "root.key"), rulebookKey, filepath.Join(dir, "release.key")}
}

// Load reads a private key. fs.ErrNotExist says that there is none.
func Load(file string) (ed25519.PrivateKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	key, err := trust.ParseKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", file, ErrKey, err)
	}
	return key, nil
}

// Make makes a key in a new file that only its owner may read. It never writes
// over an existing one: two first uses at once must not make two keys.
func Make(file string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("make folder of the key: %w", err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	_, err = f.Write(trust.FormatKey(key))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	return key, nil
}

func loadOrMake(file string) (ed25519.PrivateKey, error) {
	key, err := Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Make(file)
	}
	return key, err
}

// First sees to it that there is a root before the first till is enrolled: a
// till follows the root it is told of then. made tells that keys were made.
func First(tx *db.Tx, files Files, now time.Time) (made bool, err error) {
	if _, err := State(tx); !errors.Is(err, ErrNoRoot) {
		return false, err
	}
	root := &trust.Root{Header: trust.Header{Form: 1, Tenant: tenant(), Version: 1,
		Issued: now.UTC().Truncate(time.Second), Expires: now.UTC().Truncate(time.Second).AddDate(rootLife, 0, 0)}}
	var signer ed25519.PrivateKey
	for role, file := range map[trust.Role]string{trust.RoleRoot: files.Root, trust.RoleRulebook: files.Rulebook, trust.RoleRelease: files.Release} {
		key, err := loadOrMake(file)
		if err != nil {
			return false, err
		}
		root.Add(role, key.Public().(ed25519.PublicKey))
		if role == trust.RoleRoot {
			signer = key
		}
	}
	s, err := root.Sealed()
	if err != nil {
		return false, err
	}
	s.Sign(signer)
	return true, insert(tx, 1, s.Bytes(), now)
}

// tenant is the chain's id in everything that is signed for it.
func tenant() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return "chain-" + hex.EncodeToString(b)
}

func insert(tx *db.Tx, version int64, signed []byte, now time.Time) error {
	return tx.Exec(`INSERT INTO trust_root (version, signed, added) VALUES (?,?,?)`, version, signed, db.Millis(now))
}

// State is the trust of a till that has just been enrolled: the newest root.
func State(tx *db.Tx) (*trust.State, error) {
	var signed []byte
	ok, err := tx.Row(`SELECT signed FROM trust_root ORDER BY version DESC LIMIT 1`, nil, &signed)
	if err != nil {
		return nil, fmt.Errorf("read root: %w", err)
	}
	if !ok {
		return nil, ErrNoRoot
	}
	return trust.Begin(signed)
}

// Publish stores the next root. It must follow the present one; tills take it
// from there within a second.
func Publish(tx *db.Tx, signed []byte, now time.Time) (*trust.Root, error) {
	st, err := State(tx)
	if err != nil {
		return nil, err
	}
	before := st.Root().Version
	if _, err := st.Follow(signed, now); err != nil {
		return nil, err
	}
	if st.Root().Version == before {
		return st.Root(), nil
	}
	return st.Root(), insert(tx, st.Root().Version, st.SignedRoot(), now)
}

// After lists the roots above a version, in order.
func After(tx *db.Tx, version uint64) (versions []uint64, signed [][]byte, err error) {
	err = tx.Rows(`SELECT version, signed FROM trust_root WHERE version > ? ORDER BY version`, []any{int64(min(version, 1<<62))}, func(r *sql.Rows) error {
		var v int64
		var b []byte
		err := r.Scan(&v, &b)
		versions, signed = append(versions, uint64(v)), append(signed, b)
		return err
	})
	return versions, signed, err
}
