// Package members knows who the members are and by which cards and phone
// numbers they are known.
//
// The person (name, e-mail, phone, birthday) and the member (a random
// pseudonym) are kept apart: ledger, journals and tills know the pseudonym
// only, so forgetting a person changes no book. A card or phone number is
// found by its keyed hash (wire.Ref); the key is made here once per programme
// and handed to each till when it is enrolled.
//
// A card is never moved to another member. A lost card is blocked and a new
// one added; both lead to the same member, whose balance stays. A card that
// tills have seen before anybody knew it brings its points along (claim).
package members
