// Package keeper is what the tills of one store say to each other when the
// line to head office is down.
//
// One till, appointed by the centre, keeps the store's leases: the rights to
// spend members' points without asking the centre. The others ask it. And
// every till tells every other what it sold, returned and voided, so that a
// member who bought at till 1 finds the right balance at till 2.
//
//	till 2 ── hold? ──> keeper       HOLD in the keeper's journal, out of its own lease
//	       <─ voucher ─              signed; goes into till 2's COMMIT
//	       ── void ───>              VOID in both journals
//	each   ── moves ──> each
//
// # Who may speak
//
// The centre tells each till the devices of its store with their public keys
// (wire.StoreRoster). Both ends of a connection show a certificate made of
// their device key, over TLS 1.3, and each takes the other only when that key
// stands in its roster. Nothing said over such a connection can be read,
// changed or played back by others in the shop's network, and a device that
// was revoked is out as soon as the roster says so. Messages are bounded, and
// so are connections.
//
// # Why two tills never spend one lease
//
// A lease belongs to the device and the epoch it was granted to, for ever. The
// keeper holds out of its own leases only, in its own journal, one transaction
// each; a till that asks gets a voucher for one hold and one receipt. So it
// does not matter who believes to be keeper: two that both do hold out of two
// different sets of leases.
//
// # Decisions
//
// 2026-11-27: without the keeper, no other till spends its leases, and none is
// elected. Context: an election without the centre needs proof that the old
// keeper will not spend any more, and a till that is merely cut off can give
// none. Decision: the centre alone appoints, with a term; the tills of a store
// go on telling each other what they sold without any keeper, because that
// needs none. Consequence: while the keeper's till is switched off and the
// line is down, the others give points and spend none.
//
// 2026-11-27: leases are not handed over from till to till without the centre.
// A hand-over would need the old keeper's journal at the centre before the new
// one's spends could be booked; when the old disk is lost in between, points
// would be spent that nobody can account for. Closing a lease and granting a
// new one costs one contact with the centre and has no such gap.
//
// 2026-11-27: hashicorp/mdns is not used. It and the DNS library below it add
// 0.73 MB to a stripped program (measured beside the same program without
// it); the till's program has 0.1 MB of its 14 left. The two messages a till
// needs, "who is there" and "I am", are written out here in the form of
// RFC 6762, so that other tools see the tills too.
package keeper
