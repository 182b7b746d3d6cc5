// Package configs declares every setting of Tillside's programs.
//
// One struct per program holds meaning, unit and default of each setting. A
// settings file is TOML and is read strictly: an unknown key, a value of the
// wrong type and a value out of range are problems, and all of them are told
// at once, each with file, line, field, what was found and what would do:
//
//	till.toml:14: language: found "de"; want en, ru or pl
//
// "No file" is told apart from "bad file" (ErrNoFile): a program without a
// settings file runs with its defaults, one with a broken file does not
// start. The commented samples are embedded beside the structs; every
// commented-out value in them is the default, and a test holds them together.
//
// # Decision, 2026-11-23: our own decoder over go-toml's parser
//
// go-toml stops at the first value of the wrong type. A technician who has to
// start a service once per typing mistake loses patience, so the document is
// parsed by go-toml and then laid onto the struct by a short walk that goes on
// after a mistake and knows the line of every key.
package configs
