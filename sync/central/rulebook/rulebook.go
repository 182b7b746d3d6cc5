package rulebook

import (
	"crypto/ed25519"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

var (
	// ErrUnknown is returned for a version that was never published.
	ErrUnknown = errors.New("no such version")
	// ErrKey is wrapped when a key file cannot be used.
	ErrKey = errors.New("signing key cannot be used")
)

// Checked is what a check found out about a document.
type Checked struct {
	Programme string // short name
	Rules     int
	Vectors   int
	Warnings  []string // allowed, but probably not meant
}

// Published is one version in the list.
type Published struct {
	Version int64     `json:"version"`
	Name    string    `json:"name"`
	At      time.Time `json:"published"`
	CopyOf  int64     `json:"copy_of,omitempty"`
	Note    string    `json:"note,omitempty"`
	Size    int       `json:"size"`
	Keys    []string  `json:"keys"`
}

// LoadKey reads the signing key from a file, and makes file and key when
// there is none; made says so.
func LoadKey(file string) (key ed25519.PrivateKey, made bool, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(file)
	}
	if err != nil {
		return nil, false, fmt.Errorf("read signing key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, false, fmt.Errorf("%s: not a PEM file with a PRIVATE KEY: %w", file, ErrKey)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w: %w", file, ErrKey, err)
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, false, fmt.Errorf("%s: not an Ed25519 key: %w", file, ErrKey)
	}
	return key, false, nil
}

func makeKey(file string) (ed25519.PrivateKey, bool, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, false, fmt.Errorf("make signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, false, fmt.Errorf("make signing key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, false, fmt.Errorf("make folder of the signing key: %w", err)
	}
	// Never over an existing file: two first uses at once must not make two keys.
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("make signing key: %w", err)
	}
	_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return nil, false, fmt.Errorf("write signing key: %w", err)
	}
	return key, true, nil
}

// Trust notes a public key, so that tills enrolled from now on trust it.
func Trust(tx *db.Tx, pub ed25519.PublicKey, now time.Time) error {
	return tx.Exec(`INSERT INTO rulebook_key (id, public_key, added) VALUES (?,?,?) ON CONFLICT DO NOTHING`, wire.KeyID(pub), []byte(pub), db.Millis(now))
}

// Keys lists the public keys tills are told to trust.
func Keys(tx *db.Tx) ([]wire.PublicKey, error) {
	all := []wire.PublicKey{}
	err := tx.Rows(`SELECT id, public_key FROM rulebook_key ORDER BY added, id`, nil, func(r *sql.Rows) error {
		var k wire.PublicKey
		err := r.Scan(&k.ID, &k.Public)
		all = append(all, k)
		return err
	})
	return all, err
}

// Publish signs and stores a document under the next version. name is the
// programme's; check is run on the very bytes the tills will get.
func Publish(tx *db.Tx, document []byte, note string, copyOf int64, key ed25519.PrivateKey, now time.Time, check func(payload []byte) (Checked, error)) (*wire.Bundle, Checked, error) {
	version, err := tx.Next("bundle", 1)
	if err != nil {
		return nil, Checked{}, err
	}
	payload, err := setVersion(document, version)
	if err != nil {
		// Not even the place of the version is there: the check says all of it.
		if _, bad := check(document); bad != nil {
			err = bad
		}
		return nil, Checked{}, err
	}
	got, err := check(payload)
	if err != nil {
		return nil, Checked{}, err
	}
	b := &wire.Bundle{Version: version, Name: got.Programme, Issued: now.UTC().Truncate(time.Second), Payload: payload}
	if err := b.Sign(key); err != nil {
		return nil, got, fmt.Errorf("sign rulebook: %w", err)
	}
	if err := Trust(tx, key.Public().(ed25519.PublicKey), now); err != nil {
		return nil, got, err
	}
	signatures, err := json.Marshal(b.Signatures)
	if err != nil {
		return nil, got, err
	}
	err = tx.Exec(`INSERT INTO bundle (version, name, payload, signatures, published, copy_of, note) VALUES (?,?,?,?,?,?,?)`,
		b.Version, b.Name, b.Payload, string(signatures), db.Millis(b.Issued), copyOf, note)
	if err != nil {
		return nil, got, fmt.Errorf("store rulebook: %w", err)
	}
	return b, got, nil
}

// setVersion writes the version into the programme of a document. Everything
// below the top two levels keeps its bytes.
func setVersion(document []byte, version int64) ([]byte, error) {
	var top, programme map[string]json.RawMessage
	if err := json.Unmarshal(document, &top); err != nil {
		return nil, fmt.Errorf("rulebook: %w", err)
	}
	if err := json.Unmarshal(top["programme"], &programme); err != nil || programme == nil {
		return nil, errors.New("rulebook: it has no object \"programme\"")
	}
	programme["version"] = json.RawMessage(fmt.Sprint(version))
	p, err := json.Marshal(programme)
	if err != nil {
		return nil, err
	}
	top["programme"] = p
	return json.Marshal(top)
}

// Get returns a published version; 0 means the newest. ErrUnknown when there
// is none.
func Get(tx *db.Tx, version int64) (*wire.Bundle, error) {
	b := &wire.Bundle{}
	var signatures string
	var published int64
	q, args := `WHERE version = ?`, []any{version}
	if version == 0 {
		q, args = `ORDER BY version DESC LIMIT 1`, nil
	}
	ok, err := tx.Row(`SELECT version, name, payload, signatures, published FROM bundle `+q, args, &b.Version, &b.Name, &b.Payload, &signatures, &published)
	if err != nil {
		return nil, fmt.Errorf("read rulebook: %w", err)
	}
	if !ok {
		return nil, ErrUnknown
	}
	b.Issued = db.Time(published)
	return b, json.Unmarshal([]byte(signatures), &b.Signatures)
}

// Latest is the newest version; 0 when nothing was published.
func Latest(tx *db.Tx) (int64, error) {
	var v int64
	_, err := tx.Row(`SELECT COALESCE(MAX(version), 0) FROM bundle`, nil, &v)
	return v, err
}

// List returns all versions, newest first.
func List(tx *db.Tx) ([]Published, error) {
	all := []Published{}
	err := tx.Rows(`SELECT version, name, LENGTH(payload), signatures, published, copy_of, note FROM bundle ORDER BY version DESC`, nil, func(r *sql.Rows) error {
		var p Published
		var signatures string
		var at int64
		if err := r.Scan(&p.Version, &p.Name, &p.Size, &signatures, &at, &p.CopyOf, &p.Note); err != nil {
			return err
		}
		var sigs []wire.Signature
		if err := json.Unmarshal([]byte(signatures), &sigs); err != nil {
			return err
		}
		p.At = db.Time(at)
		for _, s := range sigs {
			p.Keys = append(p.Keys, s.Key)
		}
		all = append(all, p)
		return nil
	})
	return all, err
}
