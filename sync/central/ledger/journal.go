package ledger

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tillside/tillside/sync/central/db"
)

// encoder and decoder of journal rows; both are safe for concurrent use.
var (
	encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(true))
	decoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
)

// pack joins and compresses the exact bytes of a batch.
func pack(b *Batch) []byte {
	size := 0
	for _, it := range b.Items {
		size += len(it.Raw) + binary.MaxVarintLen32
	}
	flat := make([]byte, 0, size)
	for _, it := range b.Items {
		flat = binary.AppendUvarint(flat, uint64(len(it.Raw)))
		flat = append(flat, it.Raw...)
	}
	return encoder.EncodeAll(flat, make([]byte, 0, len(flat)/8))
}

// store keeps the exact bytes of a batch.
func store(tx *db.Tx, device int64, b *Batch) error {
	if len(b.Items) == 0 {
		return nil
	}
	err := tx.Exec(`INSERT INTO journal (device, epoch, from_seq, to_seq, body) VALUES (?,?,?,?,?)`,
		device, int64(b.Epoch), int64(b.Items[0].Seq), int64(b.Items[len(b.Items)-1].Seq), b.packed)
	if err != nil {
		return fmt.Errorf("store records: %w", err)
	}
	return nil
}

// Record returns the exact bytes of a record as they came, nil when the
// centre does not have it.
func Record(tx *db.Tx, device int64, epoch uint32, seq uint64) ([]byte, error) {
	var from uint64
	var body []byte
	ok, err := tx.Row(`SELECT from_seq, body FROM journal WHERE device = ? AND epoch = ? AND to_seq >= ? ORDER BY to_seq LIMIT 1`,
		[]any{device, int64(epoch), int64(seq)}, &from, &body)
	if err != nil || !ok || seq < from {
		return nil, err
	}
	flat, err := decoder.DecodeAll(body, nil)
	if err != nil {
		return nil, fmt.Errorf("stored records %d/%d from %d: %w", device, epoch, from, err)
	}
	for at := from; len(flat) > 0; at++ {
		n, k := binary.Uvarint(flat)
		if k <= 0 || n > uint64(len(flat)-k) {
			return nil, fmt.Errorf("stored records %d/%d from %d: torn", device, epoch, from)
		}
		if at == seq {
			return flat[k : k+int(n)], nil
		}
		flat = flat[k+int(n):]
	}
	return nil, nil
}

// KeepEvidence stores the records of a journal that forked, aside from
// everything that is applied.
func KeepEvidence(tx *db.Tx, device int64, epoch uint32, from uint64, records [][]byte, at time.Time) error {
	if len(records) == 0 {
		return nil
	}
	var flat []byte
	for _, r := range records {
		flat = binary.AppendUvarint(flat, uint64(len(r)))
		flat = append(flat, r...)
	}
	return tx.Exec(`INSERT INTO evidence (device, epoch, from_seq, to_seq, at, body) VALUES (?,?,?,?,?,?)`,
		device, int64(epoch), int64(from), int64(from)+int64(len(records))-1, db.Millis(at), encoder.EncodeAll(flat, nil))
}
