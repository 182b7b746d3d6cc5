package store

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/boltfile"
	"go.etcd.io/bbolt"
)

// keyScrub remembers, over a restart, that the journal holds bytes of somebody
// who was erased, in pages that nothing points to.
var keyScrub = []byte("scrub")

// Forget takes out of the journal what tells a member's name: texts of receipts,
// the snapshot of an open one, the stored answers of calls. What was sold, earned
// and spent stays, under the pseudonym, so that goods can still be taken back; a
// call that is repeated gets its status and no text. also runs in the same
// transaction.
//
// The old bytes stay in pages that bbolt has let go of until [Journal.Scrub].
func (j *Journal) Forget(id loyalty.MemberID, also func(tx *Tx) error) error {
	var receipts, answers []string
	err := j.View(func(tx *Tx) error { // the search is long and holds up nobody
		member := []byte(`"member":"` + id.String() + `"`)
		mine := map[string]bool{}
		err := tx.tx.Bucket(bucketReceipts).ForEach(func(k, v []byte) error {
			if bytes.Contains(v, member) {
				receipts, mine[string(k)] = append(receipts, string(k)), true
			}
			return nil
		})
		if err != nil || len(mine) == 0 {
			return err
		}
		return tx.tx.Bucket(bucketAnswers).ForEach(func(k, v []byte) error {
			if mine[receiptOf(v)] {
				answers = append(answers, string(k))
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return j.Update(func(tx *Tx) error {
		for _, id := range receipts {
			if err := tx.forgetReceipt(id); err != nil {
				return err
			}
		}
		for _, key := range answers {
			a, err := tx.Answer(key)
			if err != nil || a == nil {
				return err
			}
			a.Body = json.RawMessage(`{"erased":true}`)
			if err := tx.put(bucketAnswers, key, a); err != nil {
				return err
			}
		}
		if len(receipts) > 0 {
			if err := tx.tx.Bucket(bucketMeta).Put(keyScrub, []byte{1}); err != nil {
				return err
			}
		}
		return also(tx)
	})
}

// receiptOf finds the receipt in the call of a stored answer,
// "POST /v1/receipts/{id}/capture"; empty when there is none.
func receiptOf(answer []byte) string {
	_, rest, ok := bytes.Cut(answer, []byte(`"call":"`))
	if !ok {
		return ""
	}
	_, rest, ok = bytes.Cut(rest, []byte("/receipts/"))
	if !ok {
		return ""
	}
	id, _, _ := bytes.Cut(rest, []byte("/"))
	return string(id)
}

func (t *Tx) forgetReceipt(id string) error {
	r, err := t.Receipt(id)
	if err != nil || r == nil {
		return err
	}
	if s := r.Snapshot; s != nil {
		s.FirstName, s.Birthday, s.Attributes = "", "", nil
	}
	if r.Result, err = withoutTexts(r.Result); err != nil {
		return fmt.Errorf("receipt %s: %w", id, err)
	}
	for i := range r.Returns {
		if r.Returns[i].Result, err = withoutTexts(r.Returns[i].Result); err != nil {
			return fmt.Errorf("receipt %s: %w", id, err)
		}
	}
	return t.put(bucketReceipts, id, r)
}

// withoutTexts takes out of a result what was written for people to read.
func withoutTexts(result json.RawMessage) (json.RawMessage, error) {
	if len(result) == 0 {
		return result, nil
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(result, &m); err != nil {
		return nil, err
	}
	for _, k := range []string{"print", "messages", "asks"} {
		delete(m, k)
	}
	return json.Marshal(m)
}

// Scrub writes the journal anew when somebody was erased since the last time, so
// that no page holds what was taken out, and tells whether it did. Everybody
// waits meanwhile; call it when nobody sells.
func (j *Journal) Scrub() (bool, error) {
	wanted := false
	err := j.View(func(tx *Tx) error { wanted = tx.Meta(string(keyScrub)) != nil; return nil })
	if err != nil || !wanted {
		return false, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return false, errNotOpen
	}
	if err := j.shut(); err != nil {
		return false, fmt.Errorf("scrub %s: %w", JournalFile, err)
	}
	err = boltfile.Rewrite(j.path, boltfile.Options{LockTimeout: lockPatience})
	if e := j.open(); e != nil {
		j.broken = e
		return false, fmt.Errorf("scrub %s: %w", JournalFile, e)
	}
	if err != nil {
		return false, fmt.Errorf("scrub %s: %w", JournalFile, err)
	}
	return true, j.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Delete(keyScrub) })
}
