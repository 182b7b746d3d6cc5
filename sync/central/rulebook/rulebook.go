package rulebook

import (
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/wire"
)

var (
	// ErrUnknown is returned for a version that was never published.
	ErrUnknown = errors.New("no such version")
	// ErrTaken is wrapped when a signed rulebook has a version that cannot be
	// published any more.
	ErrTaken = errors.New("prepare and sign it again")
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

	NotAfter time.Time `json:"not_after,omitzero"`
	Stores   []string  `json:"stores,omitempty"`
}

// Life is how long a rulebook may be newly taken when nothing else is said. A
// till keeps what it has; a new till takes nothing that old.
const Life = 400 * 24 * time.Hour

// For says what a rulebook is signed for, besides its content and the chain.
type For struct {
	Stores   []string  // these only; empty: all
	NotAfter time.Time // zero: no end
}

// Prepare makes the bundle of a document under the next version, to be signed.
// check is run on the very bytes the tills will get. Nothing is stored: two
// bundles prepared one after the other have the same version, and the one that
// is published first takes it.
func Prepare(tx *db.Tx, document []byte, to For, now time.Time, check func(payload []byte) (Checked, error)) (*wire.Bundle, Checked, error) {
	have, err := tx.Counter("bundle")
	if err != nil {
		return nil, Checked{}, err
	}
	payload, err := setVersion(document, have+1)
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
	st, err := keys.State(tx)
	if err != nil {
		return nil, got, err
	}
	b := &wire.Bundle{Version: have + 1, Name: got.Programme, Tenant: st.Root().Tenant, Stores: to.Stores, Issued: now.UTC().Truncate(time.Second), Payload: payload}
	if !to.NotAfter.IsZero() {
		b.NotAfter = to.NotAfter.UTC().Truncate(time.Second)
	}
	_, err = b.SignedBytes() // its names are fit for a header
	return b, got, err
}

// Publish prepares, signs and stores a document for all stores, for a keyholder
// whose one signature is enough.
func Publish(tx *db.Tx, document []byte, note string, copyOf int64, key ed25519.PrivateKey, now time.Time, check func(payload []byte) (Checked, error)) (*wire.Bundle, Checked, error) {
	b, got, err := Prepare(tx, document, For{NotAfter: now.Add(Life)}, now, check)
	if err != nil {
		return nil, got, err
	}
	if err := b.Sign(key); err != nil {
		return nil, got, fmt.Errorf("sign rulebook: %w", err)
	}
	got, err = Store(tx, b, note, copyOf, now, check)
	return b, got, err
}

// Store publishes a signed bundle, when the tills would believe it. check is run
// once more, on the bytes as they came back from the signer.
func Store(tx *db.Tx, b *wire.Bundle, note string, copyOf int64, now time.Time, check func(payload []byte) (Checked, error)) (Checked, error) {
	st, err := keys.State(tx)
	if err != nil {
		return Checked{}, err
	}
	store := ""
	if len(b.Stores) > 0 {
		store = b.Stores[0]
	}
	if err := st.Bundle(b, store, now); err != nil {
		return Checked{}, err
	}
	got, err := check(b.Payload)
	if err != nil {
		return got, err
	}
	have, err := tx.Counter("bundle")
	if err != nil {
		return got, err
	}
	if b.Version <= have {
		return got, fmt.Errorf("rulebook %d, version %d is out already: %w", b.Version, have, ErrTaken)
	}
	if v, err := versionOf(b.Payload); err != nil || v != b.Version {
		return got, fmt.Errorf("rulebook %d says of itself that it is version %d: %w", b.Version, v, ErrTaken)
	}
	if _, err := tx.Next("bundle", b.Version-have); err != nil {
		return got, err
	}
	signatures, err := json.Marshal(b.Signatures)
	if err != nil {
		return got, err
	}
	err = tx.Exec(`INSERT INTO bundle (version, name, payload, signatures, published, copy_of, note, tenant, not_after, stores) VALUES (?,?,?,?,?,?,?,?,?,?)`,
		b.Version, b.Name, b.Payload, string(signatures), db.Millis(b.Issued), copyOf, note, b.Tenant, db.Millis(b.NotAfter), strings.Join(b.Stores, ","))
	if err != nil {
		return got, fmt.Errorf("store rulebook: %w", err)
	}
	return got, nil
}

func versionOf(payload []byte) (int64, error) {
	var d struct {
		Programme struct {
			Version int64 `json:"version"`
		} `json:"programme"`
	}
	err := json.Unmarshal(payload, &d)
	return d.Programme.Version, err
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
	var signatures, stores string
	var published, notAfter int64
	q, args := `WHERE version = ?`, []any{version}
	if version == 0 {
		q, args = `ORDER BY version DESC LIMIT 1`, nil
	}
	ok, err := tx.Row(`SELECT version, name, payload, signatures, published, tenant, not_after, stores FROM bundle `+q, args,
		&b.Version, &b.Name, &b.Payload, &signatures, &published, &b.Tenant, &notAfter, &stores)
	if err != nil {
		return nil, fmt.Errorf("read rulebook: %w", err)
	}
	if !ok {
		return nil, ErrUnknown
	}
	b.Issued, b.NotAfter = db.Time(published), db.Time(notAfter)
	if stores != "" {
		b.Stores = strings.Split(stores, ",")
	}
	return b, json.Unmarshal([]byte(signatures), &b.Signatures)
}

// ForStore is the newest version meant for a store; 0 when there is none.
func ForStore(tx *db.Tx, store string) (int64, error) {
	var v int64
	_, err := tx.Row(`SELECT COALESCE(MAX(version), 0) FROM bundle WHERE stores = '' OR ',' || stores || ',' LIKE '%,' || ? || ',%'`, []any{store}, &v)
	return v, err
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
	err := tx.Rows(`SELECT version, name, LENGTH(payload), signatures, published, copy_of, note, not_after, stores FROM bundle ORDER BY version DESC`, nil, func(r *sql.Rows) error {
		var p Published
		var signatures, stores string
		var at, notAfter int64
		if err := r.Scan(&p.Version, &p.Name, &p.Size, &signatures, &at, &p.CopyOf, &p.Note, &notAfter, &stores); err != nil {
			return err
		}
		var sigs []wire.Signature
		if err := json.Unmarshal([]byte(signatures), &sigs); err != nil {
			return err
		}
		p.At, p.NotAfter = db.Time(at), db.Time(notAfter)
		if stores != "" {
			p.Stores = strings.Split(stores, ",")
		}
		for _, s := range sigs {
			p.Keys = append(p.Keys, s.Key)
		}
		all = append(all, p)
		return nil
	})
	return all, err
}
