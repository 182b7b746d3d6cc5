//go:build !windows

package private

import "fmt"

func seal(b []byte) (how string, box []byte, err error) {
	a, err := credential()
	if a == nil || err != nil {
		return "", nil, err
	}
	return "credential", sealWith(a, b), nil
}

func unseal(how string, box []byte) ([]byte, error) {
	if how != "credential" {
		return nil, fmt.Errorf("by %.20q, which this system does not have", how)
	}
	a, err := credential()
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, fmt.Errorf("the credential %s is not here", Credential)
	}
	return unsealWith(a, box)
}
