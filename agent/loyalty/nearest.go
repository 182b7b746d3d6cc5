package loyalty

// nearest is the known name that a slip of the finger may have meant.
func nearest(s string, names []string) string {
	best, at := "", 3
	for _, n := range names {
		if k := editDistance(s, n); k < at {
			best, at = n, k
		}
	}
	if at >= len(s) {
		return ""
	}
	return best
}

func editDistance(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 99
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := prev
			if a[i] != b[j] {
				cost = 1 + min(prev, row[j], row[j+1])
			}
			prev, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
