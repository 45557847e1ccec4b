package main

import (
	"strings"
	"testing"
)

const asks = `{"max_tokens":1,"stream":false,"kv_transfer_params":{"do_remote_decode":true,"do_remote_prefill":false}}`

func brings(id string) string {
	return `{"max_tokens":9,"kv_transfer_params":{"do_remote_prefill":true,"remote_block_ids":[[1]],"remote_engine_id":"` + engineName +
		`","remote_request_id":"` + id + `"}}`
}

func TestHandOffs(t *testing.T) {
	for name, test := range map[string]struct {
		requests []string // role, body
		seen     string
		count    int
	}{
		"prefill, then decode":              {[]string{"prefill", asks, "decode", brings("wire-1")}, "decode", 1},
		"parameters used twice":             {[]string{"prefill", asks, "decode", brings("wire-1"), "decode", brings("wire-1")}, "decode with used or unknown parameters", 1},
		"parameters of nobody":              {[]string{"decode", brings("wire-7")}, "decode with used or unknown parameters", 1},
		"no parameters for decode":          {[]string{"prefill", asks, "decode", `{"max_tokens":9}`}, "decode without parameters", 1},
		"no parameters for prefill":         {[]string{"prefill", `{"max_tokens":1}`}, "prefill without parameters", 1},
		"a prefill that goes on":            {[]string{"prefill", strings.Replace(asks, ":1,", ":12,", 1)}, "prefill of more than one token", 1},
		"a prefill that streams":            {[]string{"prefill", strings.Replace(asks, `"stream":false`, `"stream":true`, 1)}, "prefill asked for a stream", 1},
		"a room on both sides":              {[]string{"decode", `{"bootstrap_room":42}`, "prefill", `{"bootstrap_room":42}`}, "decode", 1},
		"a room twice on one side":          {[]string{"decode", `{"bootstrap_room":42}`, "decode", `{"bootstrap_room":42}`}, "room used twice", 1},
		"behind a prompt longer than edges": {[]string{"prefill", `{"messages":"` + strings.Repeat("x", 1<<18) + `",` + asks[1:]}, "prefill", 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandOffs()
			for i := 0; i < len(test.requests); i += 2 {
				h.seen(test.requests[i], []byte(test.requests[i+1]))
			}
			if h.count[test.seen] != test.count {
				t.Errorf("%q counted %d times, not %d: %v", test.seen, h.count[test.seen], test.count, h.count)
			}
		})
	}
}

func TestChunks_inPiecesOfAnySize(t *testing.T) {
	body := "5\r\nhello\r\n1;x=y\r\n \r\nA\r\n0123456789\r\n0\r\nt: v\r\n\r\nNEXT"
	for size := 1; size <= len(body); size++ {
		var framing chunks
		data, taken := "", 0
		for from := 0; from < len(body); from += size {
			taken += framing.feed([]byte(body[from:min(from+size, len(body))]), func(piece []byte) { data += string(piece) })
		}
		if data != "hello 0123456789" || !framing.done() || body[taken:] != "NEXT" {
			t.Errorf("in pieces of %d: %q, left %q", size, data, body[taken:])
		}
	}
}
