package main

import (
	"bytes"
	"strconv"
)

// handOffs checks that each disaggregated request really is one prefill and then one decode with that prefill's parameters.
//
// vLLM (NIXL): the prefill request asks for a remote decode and for one token, its answer names blocks under an id of its own; the decode
// request brings that id back, once. SGLang: both requests name the same bootstrap room, at the same time. A decode request that brings
// neither has computed the prompt a second time.
type handOffs struct {
	next  uint64
	open  map[uint64]struct{}
	rooms map[string]string // room to the role that has come
	count map[string]int
}

func newHandOffs() *handOffs {
	return &handOffs{open: map[uint64]struct{}{}, rooms: map[string]string{}, count: map[string]int{}}
}

var (
	remoteDecode  = []byte(`"do_remote_decode"`)
	remotePrefill = []byte(`"do_remote_prefill"`)
	requestID     = []byte(`"remote_request_id"`)
	roomKey       = []byte(`"bootstrap_room"`)
	maxTokens     = []byte(`"max_tokens"`)
	maxCompletion = []byte(`"max_completion_tokens"`)
	streamKey     = []byte(`"stream"`)
	idPrefix      = []byte(`"wire-`)
	engineKey     = []byte(`"remote_engine_id"`)
	engineID      = []byte(`"` + engineName + `"`)
	blockIDs      = []byte(`"remote_block_ids"`)
)

const engineName = "wire-prefill-engine"

// member is what stands behind a key and its colon, wherever the key is; nil if it is nowhere. Routers add what they add before or behind
// the prompt, so the long text in between is searched last.
func member(body, key []byte) []byte {
	const edge = 64 << 10
	at := -1
	if len(body) > 2*edge {
		if at = bytes.Index(body[:1<<10], key); at < 0 {
			if at = bytes.Index(body[len(body)-edge:], key); at >= 0 {
				at += len(body) - edge
			}
		}
	}
	if at < 0 {
		at = bytes.Index(body, key)
	}
	if at < 0 {
		return nil
	}
	rest := bytes.TrimLeft(body[at+len(key):], " ")
	if len(rest) == 0 || rest[0] != ':' {
		return nil
	}
	return bytes.TrimLeft(rest[1:], " ")
}

func isTrue(value []byte) bool { return bytes.HasPrefix(value, []byte("true")) }

// seen takes the body of a request that came to a port of a role, and says under which id a prefill answer names blocks: 0 for none.
func (h *handOffs) seen(role string, body []byte) uint64 {
	switch role {
	case "prefill":
		if asks := member(body, remoteDecode); asks != nil {
			return h.prefill(body, asks)
		}
	case "decode":
		if asks := member(body, remotePrefill); asks != nil {
			h.decode(body, asks)
			return 0
		}
	default:
		h.count["plain"]++
		return 0
	}
	if room := member(body, roomKey); room != nil {
		h.room(role, room)
	} else {
		h.count[role+" without parameters"]++
	}
	return 0
}

func (h *handOffs) prefill(body, asks []byte) uint64 {
	switch {
	case !isTrue(asks):
		h.count["prefill without parameters"]++
		return 0
	case isTrue(member(body, streamKey)):
		h.count["prefill asked for a stream"]++
		return 0
	case !one(member(body, maxTokens)) && !one(member(body, maxCompletion)):
		h.count["prefill of more than one token"]++
		return 0
	}
	h.count["prefill"]++
	h.next++
	h.open[h.next] = struct{}{}
	return h.next
}

func one(value []byte) bool {
	return len(value) > 1 && value[0] == '1' && (value[1] == ',' || value[1] == '}')
}

func (h *handOffs) decode(body, asks []byte) {
	id := member(body, requestID)
	switch {
	case !isTrue(asks) || !bytes.HasPrefix(id, idPrefix):
		h.count["decode without parameters"]++
	case !bytes.HasPrefix(member(body, engineKey), engineID) || !bytes.HasPrefix(member(body, blockIDs), []byte("[[")):
		h.count["decode with incomplete parameters"]++
	default:
		id = id[len(idPrefix):]
		number, _ := strconv.ParseUint(string(id[:max(0, bytes.IndexByte(id, '"'))]), 10, 64)
		if _, ok := h.open[number]; !ok {
			h.count["decode with used or unknown parameters"]++
			return
		}
		delete(h.open, number)
		h.count["decode"]++
	}
}

func (h *handOffs) room(role string, value []byte) {
	end := 0
	for end < len(value) && value[end] >= '0' && value[end] <= '9' {
		end++
	}
	room := string(value[:end])
	other, ok := h.rooms[room]
	switch {
	case !ok:
		h.rooms[room] = role
	case other == role:
		h.count["room used twice"]++
	default:
		delete(h.rooms, room)
		h.count["prefill"]++
		h.count["decode"]++
	}
}

// reset forgets everything.
func (h *handOffs) reset() {
	h.count = map[string]int{}
	h.open = map[uint64]struct{}{}
	h.rooms = map[string]string{}
}
