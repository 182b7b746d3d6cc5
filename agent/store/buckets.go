package store

import (
	"go.etcd.io/bbolt"

	"github.com/tillside/tillside/sync/wire"
)

// Buckets of journal.db. sync/outbox keeps its own beside them.
var (
	// bucketMeta: format, epoch and the like.
	bucketMeta = []byte("meta")
	// bucketReceipts: receipt id -> Receipt (JSON).
	bucketReceipts = []byte("receipts")
	// bucketReceiptsByTime: time of the last change (8 bytes) + receipt id.
	bucketReceiptsByTime = []byte("receipts_by_time")
	// bucketFiscal: fiscal number -> id of the receipt that bears it.
	bucketFiscal = []byte("receipts_by_fiscal")
	// bucketOpen: id of each receipt that holds points or waits for its slip.
	bucketOpen = []byte("receipts_open")
	// bucketAnswers: idempotency key -> Answer (JSON).
	bucketAnswers = []byte("answers")
	// bucketAnswersByTime: time (8 bytes) + idempotency key.
	bucketAnswersByTime = []byte("answers_by_time")
	// bucketDeltas: subject + seq (8 bytes) -> Delta (JSON).
	bucketDeltas = []byte("member_deltas")
	// bucketShifts: shift + receipt id -> totals of the receipt, for counting.
	bucketShifts = []byte("shifts")
	// bucketUsage: counter of a limit, 0, day -> use (8 bytes).
	bucketUsage = []byte("usage")
	// bucketQuotas: budget -> what this till may still give of it (JSON).
	bucketQuotas = []byte("quotas")
	// bucketLeases: lease id -> Lease (JSON); closed ones too, for ever.
	bucketLeases = []byte("leases")
	// bucketLeasesOf: member (8 bytes) + lease id of each open lease.
	bucketLeasesOf = []byte("leases_of_member")
	// bucketSpends: member (8 bytes) + seq of the HOLD (8 bytes) -> Spend (JSON).
	bucketSpends = []byte("lease_spends")
	// bucketLent: hold id -> Lent, of this till's leases for another till (JSON).
	bucketLent = []byte("lent")
	// bucketKeeperVoids: hold id -> void the keeper was not told of yet (JSON).
	bucketKeeperVoids = []byte("keeper_voids")
	// bucketMoves: epoch (4 bytes) + seq (8) -> change, for the store's tills (JSON).
	bucketMoves = []byte("moves")
	// bucketForeign: subject + device + epoch (4) + seq (8) -> Delta of another till.
	bucketForeign = []byte("foreign_deltas")
	// bucketForeignFloor: device -> epoch (4) + seq (8) that all snapshots include.
	bucketForeignFloor = []byte("foreign_floor")
)

var journalBuckets = [][]byte{bucketMeta, bucketReceipts, bucketReceiptsByTime, bucketFiscal, bucketOpen,
	bucketAnswers, bucketAnswersByTime, bucketDeltas, bucketShifts, bucketUsage, bucketQuotas,
	bucketLeases, bucketLeasesOf, bucketSpends,
	bucketLent, bucketKeeperVoids, bucketMoves, bucketForeign, bucketForeignFloor}

// Buckets of cache.db.
var (
	// bucketMembers: first 8 bytes of a card reference -> member (compact).
	bucketMembers = []byte("members")
	// bucketRefs: member id (8 bytes) -> its references, 8 bytes each.
	bucketRefs = []byte("refs")
	// bucketWords: number (2 bytes) -> word, the dictionary of the codec.
	bucketWords = []byte("words")
	// bucketStops: first 8 bytes of a card reference -> reason.
	bucketStops = []byte("stops")
	// bucketBundles: version (8 bytes) -> signed rulebook as it came.
	bucketBundles = []byte("bundles")
	// bucketCursors: lane -> how far it was read (8 bytes).
	bucketCursors = []byte("cursors")
	// bucketCacheMeta: format, version of the active bundle.
	bucketCacheMeta = []byte("meta")
)

var cacheBuckets = [][]byte{bucketMembers, bucketRefs, bucketWords, bucketStops, bucketBundles, bucketCursors, bucketCacheMeta}

// journalLayout:
//
//	1  first layout
//	2  values carry a checksum; those of format 1 are read as they are, and
//	   sealed when they are written next
var journalLayout = layout{buckets: journalBuckets, format: 2, migrate: func(*bbolt.Tx, byte) error { return nil }}

// cacheLayout:
//
//	1  first layout
//	2  members carry a checksum
//	3  what tells the person is under a key of its own, in [PersonsFile]
//
// Members of an older format are asked for again.
var cacheLayout = layout{buckets: cacheBuckets, format: 3, most: cacheMost(), migrate: func(tx *bbolt.Tx, _ byte) error {
	for _, name := range [][]byte{bucketMembers, bucketRefs} {
		if tx.Bucket(name) != nil {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
	}
	if b := tx.Bucket(bucketCursors); b != nil {
		return b.Delete([]byte(wire.LaneMember))
	}
	return nil
}}
