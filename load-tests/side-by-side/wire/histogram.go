package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in microseconds with an error of at most 1/64.
type histogram struct {
	buckets [40 * 64]uint64
	count   uint64
	most    time.Duration
}

const fine = 64

func (h *histogram) add(d time.Duration) {
	micros := uint64(max(0, d.Nanoseconds()/1000))
	index := micros
	if micros >= fine {
		shift := bits.Len64(micros) - 7
		index = uint64(shift)*fine + micros>>shift
	}
	h.buckets[min(index, uint64(len(h.buckets)-1))]++
	h.count++
	h.most = max(h.most, d)
}

// millis is the value below which a share of all lies.
func (h *histogram) millis(share float64) float64 {
	rank := uint64(share * float64(h.count))
	for index, count := range h.buckets {
		if rank < count {
			micros := float64(index)
			if index >= 2*fine {
				shift := index/fine - 1
				micros = float64(uint64(index-shift*fine) << shift)
			}
			return micros / 1000
		}
		rank -= count
	}
	return h.most.Seconds() * 1000
}
