package main

// ownedAs does nothing: rights are inherited from the folder here.
func ownedAs(string, ...string) error { return nil }
