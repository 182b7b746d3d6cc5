// Package passthrough is the agent's part in a till whose software cannot be
// changed. It attaches to the relay between the cash program and its printer
// (drivers/relay), reads the receipts that pass (drivers/follow), books them
// like any other sale, and adds the loyalty lines of the member whose card the
// agent's own scanner has read.
//
//	card read      -> the member stands at the till
//	total is said  -> authorise: priced, what it takes of limits is on disk
//	receipt closes -> its lines go out before the cut
//	printer closed -> capture: one transaction, journal, outbox
//	cancelled      -> void
//
// It asks the till by the calls of the local API, under the name
// "passthrough", so that a receipt that was read and one that was sent are one
// thing to everybody behind.
//
// # What it cannot do
//
// The prices are the cash program's. Every line goes to the engine with a floor
// no rule can go below, so discounts, gifts in the basket and paying with points
// give nothing; points, stamps, coupons for next time and texts work. Discounts
// the cash program gives are told to the engine as given.
//
// # What is on paper holds
//
// Lines are sent only when what they say is on disk. From then until the capture
// the receipt stands in a small file (open.go): lines that went out are booked
// after a restart, receipts without lines whose end nobody saw are voided.
package passthrough
