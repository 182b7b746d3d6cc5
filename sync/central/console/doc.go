// Package console is the centre's pages for people: tills, members and their
// journals, receipts with their allocation, rulebooks, and what needs a look.
//
// Pages are made on the server with html/template and need no script: they
// work with a keyboard alone and in the browser of an old till. Words come
// from lang/, one file a language; a test holds the languages together.
//
// Whoever looks must have logged in (package access). Every form carries the
// session's second secret, and cross-origin posts are refused before that.
// The pages only read, but for a few forms: a code for a new till, revoking a
// device, blocking and replacing a card.
package console
