package keeper

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Multicast DNS (RFC 6762) as far as tills need it: a question who offers the
// service, and an answer with the port. The address is where the answer came
// from. Nothing in it is believed: whoever answers must show a device key of
// the store before a word is said.

const (
	service = "_tillside._tcp.local"
	typePTR = 12
	typeTXT = 16
	typeSRV = 33
	classIN = 1
)

var group = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}

// discoverEvery is how often the others are asked for; quick at the start.
const discoverEvery = 30 * time.Second

// discover asks for other tills and answers their questions on every
// interface that can multicast.
func (s *Store) discover(ctx context.Context) error {
	list, err := net.Interfaces()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	some := false
	for i := range list {
		if list[i].Flags&net.FlagUp == 0 || list[i].Flags&net.FlagMulticast == 0 {
			continue
		}
		c, err := net.ListenMulticastUDP("udp4", &list[i], group)
		if err != nil {
			continue
		}
		some = true
		stop := context.AfterFunc(ctx, func() { c.Close() })
		wg.Go(func() { defer stop(); s.listen(c) })
		wg.Go(func() { s.askAround(ctx, c) })
	}
	if !some {
		return errors.New("no network interface that can multicast")
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *Store) askAround(ctx context.Context, c *net.UDPConn) {
	wait := time.Second
	for {
		_, _ = c.WriteToUDP(question(), group) // an interface that is down now comes back
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		wait = min(2*wait, discoverEvery)
	}
}

// listen reads until the connection is closed. Answers are at most four a
// second: a flood of questions is not made a flood of answers.
func (s *Store) listen(c *net.UDPConn) {
	port := s.listener.Addr().(*net.TCPAddr).Port
	b := make([]byte, 9000)
	var last time.Time
	for {
		n, from, err := c.ReadFromUDP(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		asked, ports, err := parse(b[:n])
		if err != nil {
			continue
		}
		for device, p := range ports {
			if device != s.cfg.Device && s.cfg.Roster().Till(device) != nil {
				s.heard(net.JoinHostPort(from.IP.String(), strconv.Itoa(p)))
			}
		}
		if asked && time.Since(last) > 250*time.Millisecond {
			last = time.Now()
			_, _ = c.WriteToUDP(answer(s.cfg.Device, port), group)
		}
	}
}

// appendName writes a name without compression.
func appendName(b []byte, name string) []byte {
	for l := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(l))), l...)
	}
	return append(b, 0)
}

func header(flags, questions, answers, more uint16) []byte {
	b := make([]byte, 0, 512)
	for _, n := range []uint16{0, flags, questions, answers, 0, more} {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return b
}

// question asks who offers the service.
func question() []byte {
	b := appendName(header(0, 1, 0, 0), service)
	b = binary.BigEndian.AppendUint16(b, typePTR)
	return binary.BigEndian.AppendUint16(b, classIN)
}

// answer says that a device offers it at a port.
func answer(device string, port int) []byte {
	own := device + "." + service
	b := header(0x8400, 0, 1, 2)
	record := func(name string, typ uint16, data []byte) {
		b = appendName(b, name)
		b = binary.BigEndian.AppendUint16(b, typ)
		b = binary.BigEndian.AppendUint16(b, classIN)
		b = binary.BigEndian.AppendUint32(b, 120)
		b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
		b = append(b, data...)
	}
	record(service, typePTR, appendName(nil, own))
	srv := append([]byte{0, 0, 0, 0}, byte(port>>8), byte(port))
	record(own, typeSRV, appendName(srv, device+".local"))
	record(own, typeTXT, []byte{0})
	return b
}

var errMessage = errors.New("not a message of multicast DNS")

// parse reads a message: whether it asks for the service, and which devices
// offer it at which port.
func parse(b []byte) (asks bool, ports map[string]int, err error) {
	if len(b) < 12 {
		return false, nil, errMessage
	}
	count := func(i int) int { return int(binary.BigEndian.Uint16(b[i:])) }
	at := 12
	isAnswer := b[2]&0x80 != 0
	for range count(4) {
		name, next, ok := readName(b, at)
		if !ok || next+4 > len(b) {
			return false, nil, errMessage
		}
		asks = asks || !isAnswer && strings.EqualFold(name, service) && binary.BigEndian.Uint16(b[next:]) == typePTR
		at = next + 4
	}
	for range count(6) + count(8) + count(10) {
		name, next, ok := readName(b, at)
		if !ok || next+10 > len(b) {
			return false, nil, errMessage
		}
		typ, size := binary.BigEndian.Uint16(b[next:]), int(binary.BigEndian.Uint16(b[next+8:]))
		data := next + 10
		if data+size > len(b) {
			return false, nil, errMessage
		}
		if device, ours := strings.CutSuffix(strings.ToLower(name), "."+service); isAnswer && ours && typ == typeSRV && size >= 6 {
			if ports == nil {
				ports = map[string]int{}
			}
			if port := int(binary.BigEndian.Uint16(b[data+4:])); port > 0 && len(ports) < 16 {
				ports[device] = port
			}
		}
		at = data + size
	}
	return asks, ports, nil
}

// readName reads a name, compressed or not, and where what follows begins.
func readName(b []byte, at int) (name string, next int, ok bool) {
	var labels []string
	next = -1
	for jumps := 0; jumps < 16; {
		if at >= len(b) {
			return "", 0, false
		}
		n := int(b[at])
		switch {
		case n == 0:
			if next < 0 {
				next = at + 1
			}
			return strings.Join(labels, "."), next, true
		case n&0xc0 == 0xc0:
			if at+1 >= len(b) {
				return "", 0, false
			}
			if next < 0 {
				next = at + 2
			}
			to := (n&0x3f)<<8 | int(b[at+1])
			if to >= at {
				return "", 0, false // only backwards: no loops
			}
			at = to
			jumps++
		case n > 63 || at+1+n > len(b) || len(labels) > 32:
			return "", 0, false
		default:
			labels = append(labels, string(b[at+1:at+1+n]))
			at += 1 + n
		}
	}
	return "", 0, false
}
