package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/sync/boltfile"
	"github.com/tillside/tillside/sync/outbox"
)

// bbolt keeps a checksum of the two pages where everything begins and of no
// other. A bit that flips on the disk inside a price would be read as another
// price. So each value carries the checksum of where it lies and what it is:
//
//	1 byte    sealMark
//	4 bytes   CRC-32C of bucket, 0, key, 0, value; little-endian
//	value
//
// Values of the first format have no such head. They are read as they are: a
// JSON object begins with another byte, a number is eight bytes long.
const (
	sealMark = 0x01
	sealHead = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sealSum(bucket, key, value []byte) uint32 {
	sum := crc32.Update(0, castagnoli, bucket)
	sum = crc32.Update(sum, castagnoli, []byte{0})
	sum = crc32.Update(sum, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, []byte{0})
	return crc32.Update(sum, castagnoli, value)
}

// seal makes the stored form of a value.
func seal(bucket, key, value []byte) []byte {
	b := make([]byte, 0, sealHead+len(value))
	b = append(b, sealMark)
	b = binary.LittleEndian.AppendUint32(b, sealSum(bucket, key, value))
	return append(b, value...)
}

// unseal gives the value inside, which shares memory with b. ErrDamaged when
// it is not what was written there.
func unseal(bucket, key, b []byte) ([]byte, error) {
	if len(b) > 0 && b[0] == '{' || len(b) == 8 {
		return b, nil // of the first format
	}
	if len(b) < sealHead || b[0] != sealMark || binary.LittleEndian.Uint32(b[1:]) != sealSum(bucket, key, b[sealHead:]) {
		return nil, fmt.Errorf("%s %q: %w: the value is not what was written", bucket, key, ErrDamaged)
	}
	return b[sealHead:], nil
}

// sealed are the buckets whose values are sealed.
var sealed = [][]byte{bucketReceipts, bucketAnswers, bucketDeltas, bucketShifts, bucketUsage, bucketQuotas, bucketMembers,
	bucketLeases, bucketSpends, bucketLent, bucketKeeperVoids, bucketMoves, bucketForeign}

// Examine looks at a stopped agent's journal or cache as far as a program can:
// every page, every value's checksum, and in the journal every record's place
// in the chain. ErrDamaged tells what cannot be; other errors that it could
// not be looked at. A very damaged file can end the process.
func Examine(path string) error {
	if err := boltfile.Check(path); err != nil {
		return err
	}
	if st, err := os.Stat(path); err != nil || st.Size() == 0 {
		return err
	}
	db, err := boltfile.Open(path, boltfile.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	err = boltfile.Guard(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			if err := examineValues(tx); err != nil {
				return err
			}
			if err := outbox.Examine(tx); err != nil {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			}
			return nil
		})
	})
	if e := db.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return nil
}

func examineValues(tx *bbolt.Tx) error {
	for _, name := range sealed {
		b := tx.Bucket(name)
		if b == nil {
			continue
		}
		err := b.ForEach(func(k, v []byte) error {
			_, err := unseal(name, k, v)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
