package keeper

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/tillside/tillside/sync/wire"
)

// ErrStranger is returned for a peer whose key is not in the roster.
var ErrStranger = errors.New("not a till of this store")

// certificate makes the certificate that shows a device's key. Nothing in it
// counts but the key, and that the other end holds its private half.
func certificate(key ed25519.PrivateKey) (tls.Certificate, error) {
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.AddDate(-10, 0, 0), NotAfter: now.AddDate(100, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate of the device key: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// settings are those of both ends. who is told the peer's device; roster gives
// the one in force.
func settings(cert tls.Certificate, roster func() *wire.StoreRoster, own string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"},
		// Neither names nor authorities count here: VerifyConnection compares
		// the key itself with what the centre said.
		InsecureSkipVerify: true, ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := peer(&s, roster(), own)
			return err
		},
	}
}

// peer finds the till at the other end.
func peer(s *tls.ConnectionState, r *wire.StoreRoster, own string) (*wire.StoreTill, error) {
	if s == nil || len(s.PeerCertificates) == 0 || r == nil {
		return nil, ErrStranger
	}
	key, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, ErrStranger
	}
	for i := range r.Tills {
		if t := &r.Tills[i]; t.Device != own && bytes.Equal(t.Key, key) {
			return t, nil
		}
	}
	return nil, ErrStranger
}
