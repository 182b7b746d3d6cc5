//go:build !race

package loyalty_test

const raceDetector = false
