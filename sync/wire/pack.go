package wire

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A packed message, byte by byte:
//
//	1 byte   format: 1 = plain, 2 = zstd
//	uvarint  length of the body before compression, at most MaxInflated
//	body, or one zstd frame of it:
//	  uvarint  length of the head
//	  head     JSON, as in a text frame
//	  then, until the end: uvarint length, that many bytes (one record or item)
//
// Websocket compression is never used: it costs more processor time than
// zstd for more bytes, and its inflated size cannot be bounded beforehand.
const (
	packPlain = 1
	packZstd  = 2

	packWorth = 512 // bodies shorter than this are sent plain
	noSizeMax = 256 // a zstd frame of more than this must tell its content size
)

// The zstd coders are safe for concurrent EncodeAll and DecodeAll. One
// goroutine each: a till has one batch at a time, and the centre's
// parallelism comes from its sessions.
var (
	zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
		if err != nil {
			panic("zstd encoder options: " + err.Error())
		}
		return e
	})
	zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(MaxInflated),
			zstd.WithDecoderMaxWindow(MaxInflated), zstd.WithDecoderLowmem(true))
		if err != nil {
			panic("zstd decoder options: " + err.Error())
		}
		return d
	})
)

func packItems(f Frame) [][]byte {
	switch f := f.(type) {
	case *Push:
		return f.Records
	case *Evidence:
		return f.Records
	case *Feed:
		items := make([][]byte, len(f.Items))
		for i, it := range f.Items {
			items[i] = it
		}
		return items
	}
	return nil
}

func pack(f Frame) ([]byte, error) {
	head, err := encodeHead(f)
	if err != nil {
		return nil, err
	}
	items := packItems(f)
	size := binary.MaxVarintLen64 + len(head)
	for _, it := range items {
		size += binary.MaxVarintLen64 + len(it)
	}
	body := make([]byte, 0, size)
	body = binary.AppendUvarint(body, uint64(len(head)))
	body = append(body, head...)
	for _, it := range items {
		body = binary.AppendUvarint(body, uint64(len(it)))
		body = append(body, it...)
	}
	if len(body) > MaxInflated {
		return nil, fmt.Errorf("%s of %d bytes: %w", f.Kind(), len(body), ErrTooLarge)
	}
	var out []byte
	if len(body) < packWorth {
		out = append(make([]byte, 0, len(body)+4), packPlain)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	} else {
		out = append(make([]byte, 0, len(body)/4+64), packZstd)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = zstdEncoder().EncodeAll(body, out)
	}
	if len(out) > MaxMessage {
		return nil, fmt.Errorf("%s of %d bytes: %w", f.Kind(), len(out), ErrTooLarge)
	}
	return out, nil
}

func unpack(msg []byte, most uint64) (Frame, error) {
	if len(msg) < 2 {
		return nil, fmt.Errorf("%w: packed message of %d bytes", ErrMalformed, len(msg))
	}
	size, n := uvarint(msg[1:])
	if n <= 0 {
		return nil, fmt.Errorf("%w: packed length", ErrMalformed)
	}
	if size > most {
		return nil, fmt.Errorf("packed message inflates to %d bytes: %w", size, ErrTooLarge)
	}
	body := msg[1+n:]
	switch msg[0] {
	case packPlain:
	case packZstd:
		// The frame's own idea of its size must be the one announced, or
		// absent (small frames); the decoder never goes beyond MaxInflated.
		var h zstd.Header
		if err := h.Decode(body); err != nil {
			return nil, fmt.Errorf("%w: zstd: %w", ErrMalformed, err)
		}
		if h.Skippable || h.HasFCS && h.FrameContentSize != size || !h.HasFCS && size > noSizeMax {
			return nil, fmt.Errorf("%w: zstd content size", ErrMalformed)
		}
		out, err := zstdDecoder().DecodeAll(body, make([]byte, 0, size))
		if err != nil {
			return nil, fmt.Errorf("%w: zstd: %w", ErrMalformed, err)
		}
		body = out
	default:
		return nil, fmt.Errorf("%w: packed format %d", ErrMalformed, msg[0])
	}
	if uint64(len(body)) != size {
		return nil, fmt.Errorf("%w: packed body has %d bytes, said %d", ErrMalformed, len(body), size)
	}
	head, rest, err := chunk(body)
	if err != nil {
		return nil, err
	}
	f, err := decodeHead(head)
	if err != nil {
		return nil, err
	}
	if _, unknown := f.(*Unknown); unknown {
		return f, nil
	}
	limit, maxItem := 0, MaxRecord
	switch f.(type) {
	case *Push:
		limit = BatchRecords
	case *Evidence:
		limit = BatchRecords
	case *Feed:
		limit, maxItem = MaxItems, MaxItem
	default:
		return nil, fmt.Errorf("%w: %s as binary", ErrMalformed, f.Kind())
	}
	var items [][]byte
	for len(rest) > 0 {
		var it []byte
		if it, rest, err = chunk(rest); err != nil {
			return nil, err
		}
		if len(items) == limit {
			return nil, fmt.Errorf("%s with more than %d entries: %w", f.Kind(), limit, ErrTooLarge)
		}
		if len(it) > maxItem {
			return nil, fmt.Errorf("%s entry of %d bytes: %w", f.Kind(), len(it), ErrTooLarge)
		}
		items = append(items, it)
	}
	switch f := f.(type) {
	case *Push:
		f.Records = items
		return f, f.check()
	case *Evidence:
		f.Records = items
	case *Feed:
		f.Items = make([]json.RawMessage, len(items))
		for i, it := range items {
			if !json.Valid(it) || !depthOK(it) {
				return nil, fmt.Errorf("%w: FEED item %d", ErrMalformed, i)
			}
			f.Items[i] = it
		}
		return f, f.check()
	}
	return f, nil
}

func (p *Push) check() error {
	if len(p.Records) == 0 || p.From == 0 || p.Last.Seq != p.From+uint64(len(p.Records))-1 || p.Last.Seq < p.From {
		return fmt.Errorf("%w: PUSH from %d to %d with %d records", ErrMalformed, p.From, p.Last.Seq, len(p.Records))
	}
	if HashOf(p.Records[len(p.Records)-1]) != p.Last.Hash {
		return fmt.Errorf("%w: PUSH ends with another hash than it says", ErrMalformed)
	}
	return nil
}

// uvarint reads a length in its shortest form only.
func uvarint(b []byte) (uint64, int) {
	v, n := binary.Uvarint(b)
	if n > 1 && b[n-1] == 0 {
		return 0, 0
	}
	return v, n
}

func chunk(b []byte) (item, rest []byte, err error) {
	size, n := uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, fmt.Errorf("%w: packed entry length", ErrMalformed)
	}
	return b[n : n+int(size) : n+int(size)], b[n+int(size):], nil
}
