"""How requests are framed: what RFC 9110 and 9112 allow is understood, what they forbid is refused and ends the connection."""
import json
import time

import fleet
from cases import (BYPASSED, CHAT, COMPLETIONS, DISAGGREGATED, GENERATING, NO_PREFILL, STREAM, TOGETHER, WHOLE, case, prompt, refused, said, same, within)
from wire import chunks, head, post

CHUNKED = ("content-type: application/json", "transfer-encoding: chunked")
RECORDED = prompt(COMPLETIONS, "a", "kept")


def text(body):
    return json.dumps(body, ensure_ascii=False).encode()


# ---- allowed ----

@case("a chunked body is the same request as one with a length", COMPLETIONS, WHOLE, DISAGGREGATED)
def chunked_body(at):
    body = prompt(COMPLETIONS, f"chunks {at.id}")
    answer = at.ask(head(f"POST {COMPLETIONS} HTTP/1.1", *CHUNKED, f"x-request-id: {at.id}") + chunks(text(body), 7))
    same(answer.status, 200, "the status")
    same(said(COMPLETIONS, answer), said(COMPLETIONS, at.one_engine(COMPLETIONS, body)), "the answer")


@case("chunk extensions and trailers are read over, and reach no engine", COMPLETIONS, WHOLE, BYPASSED, NO_PREFILL)
def chunk_extensions(at):
    body = text(RECORDED)
    request = head(f"POST {COMPLETIONS} HTTP/1.1", *CHUNKED, f"x-request-id: {at.id}")
    request += b"%x;a=b;c=\"d\"\r\n%s\r\n0\r\nx-trailer: 1\r\n\r\n" % (len(body), body)
    with at.wire() as wire:
        same(wire.ask(request).status, 200, "the status")
        same(wire.ask(head("GET /health HTTP/1.1"), "GET").status, 200, "the status of the next request")
    leg = at.leg("both")
    same(leg.body, body, "the engine's body")
    same(leg.header("x-trailer"), None, "the trailer at the engine")


@case("a request that comes byte by byte is understood", CHAT, WHOLE, DISAGGREGATED)
def split_writes(at):
    body = prompt(CHAT, f"Wörter {at.id}")
    request = post(CHAT, text(body), f"x-request-id: {at.id}")
    with at.wire() as wire:
        answer = wire.send(*[request[i:i + 1] for i in range(len(request))]).answer()
    same(answer.status, 200, "the status")
    same(said(CHAT, answer), said(CHAT, at.one_engine(CHAT, body)), "the answer")


@case("three requests in one write are answered in their order", COMPLETIONS, WHOLE, DISAGGREGATED, TOGETHER)
def pipelining(at):
    bodies = [prompt(COMPLETIONS, f"{at.id} {i}", tokens=3) for i in range(3)]
    ids = [f"{at.id}-first", f"{at.id}-second", at.id]
    with at.wire() as wire:
        wire.send(b"".join(post(COMPLETIONS, body, f"x-request-id: {name}") for body, name in zip(bodies, ids)))
        answers = [wire.answer() for _ in ids]
    same([answer.header("x-request-id") for answer in answers], ids, "the order of the answers")
    same([said(COMPLETIONS, answer) for answer in answers], [said(COMPLETIONS, at.one_engine(COMPLETIONS, body)) for body in bodies], "the answers")


@case("a stream, and a request behind it in the same write, are answered in their order", CHAT, STREAM, DISAGGREGATED)
def pipelined_behind_stream(at):
    with at.wire() as wire:
        wire.send(post(CHAT, prompt(CHAT, f"s {at.id}", stream=True), f"x-request-id: {at.id}") + head("GET /health HTTP/1.1"))
        same(wire.answer().events()[-1].data, "[DONE]", "the stream's end")
        same(wire.answer("GET").body, b'{"status":"ok"}', "the answer behind it")


@case("a connection serves one request after the other, errors among them")
def kept_alive(at):
    with at.wire() as wire:
        same(wire.ask(post(COMPLETIONS, RECORDED)).status, 200, "the first status")
        refused(wire.ask(post(COMPLETIONS, b"{")), 400, "invalid_json")
        same(wire.ask(post(COMPLETIONS, RECORDED)).status, 200, "the third status")


@case("connection: close is obeyed", COMPLETIONS, WHOLE)
def closed_as_asked(at):
    with at.wire() as wire:
        same(wire.ask(post(COMPLETIONS, RECORDED, "connection: close")).status, 200, "the status")
        assert wire.is_closed(), "the connection stays open"


@case("HTTP/1.0: an answer has its length, no chunks, and the connection ends", COMPLETIONS, WHOLE, DISAGGREGATED)
def old_client(at):
    with at.wire() as wire:
        answer = wire.ask(post(COMPLETIONS, prompt(COMPLETIONS, f"old {at.id}"), f"x-request-id: {at.id}", version="HTTP/1.0"))
        same(answer.status, 200, "the status")
        same(answer.header("transfer-encoding"), None, "transfer-encoding")
        same(answer.header("content-length"), str(len(answer.body)), "content-length")
        assert wire.is_closed(), "the connection stays open"


@case("HTTP/1.0: a stream has no chunks and ends with the connection", CHAT, STREAM, DISAGGREGATED)
def old_client_streams(at):
    body = prompt(CHAT, f"old {at.id}", stream=True)
    answer = at.ask(post(CHAT, body, f"x-request-id: {at.id}", "connection: keep-alive", version="HTTP/1.0"))
    same(answer.header("transfer-encoding"), None, "transfer-encoding")
    same(answer.header("connection"), "close", "connection")
    same(answer.events()[-1].data, "[DONE]", "the stream's end")


@case("expect: 100-continue is answered before the body comes, and reaches no engine", COMPLETIONS, WHOLE, BYPASSED, NO_PREFILL)
def expect_continue(at):
    request = post(COMPLETIONS, RECORDED, "expect: 100-continue", f"x-request-id: {at.id}")
    end = request.index(b"\r\n\r\n") + 4
    with at.wire() as wire:
        wire.send(request[:end])
        same(wire.until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n", "the interim answer")
        same(wire.ask(request[end:]).status, 200, "the status")
    same(at.leg("both").header("expect"), None, "expect at the engine")


@case("the target may be an absolute URI (RFC 9112, 3.2.2)", COMPLETIONS, WHOLE, BYPASSED, NO_PREFILL)
def absolute_target(at):
    answer = at.ask(post(f"http://conformance{COMPLETIONS}", RECORDED, f"x-request-id: {at.id}"))
    same(answer.status, 200, "the status")
    same(at.leg("both").path, COMPLETIONS, "the path at the engine")


@case("a query is no part of the path", COMPLETIONS, WHOLE, BYPASSED, NO_PREFILL)
def query(at):
    same(at.post(f"{COMPLETIONS}?api-version=1", RECORDED).status, 200, "the status")


@case("offers to upgrade are declined by answering", COMPLETIONS, WHOLE, BYPASSED, NO_PREFILL)
def upgrade(at):
    answer = at.post(COMPLETIONS, RECORDED, "connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__")
    same(answer.status, 200, "the status")
    leg = at.leg("both")
    same((leg.header("upgrade"), leg.header("http2-settings")), (None, None), "the offer at the engine")


# ---- methods and paths ----

def other_method(path, method, allowed):
    @case(f"{method} {path} is 405 with Allow: {allowed}")
    def check(at):
        answer = at.ask(head(f"{method} {path} HTTP/1.1", f"x-request-id: {at.id}", "content-length: 0"), method)
        same(answer.header("allow"), allowed, "allow")
        if method == "HEAD":
            same((answer.status, answer.header("x-request-id")), (405, at.id), "status and id")
        else:
            refused(answer, 405, "method_not_allowed", at.id, "anthropic" if "messages" in path else "openai")


for one_method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "post"):
    other_method(CHAT, one_method, "POST, OPTIONS")
for other_path in (*GENERATING[1:], "/v1/embeddings", "/tokenize"):
    other_method(other_path, "GET", "POST, OPTIONS")
other_method("/v1/models", "POST", "GET, HEAD, OPTIONS")


@case("OPTIONS names the methods, without a body")
def options(at):
    answer = at.ask(head(f"OPTIONS {CHAT} HTTP/1.1"))
    same((answer.status, answer.header("allow"), answer.body), (204, "POST, OPTIONS", b""), "the answer")


@case("HEAD of the models has the length of the page and no body")
def head_of_models(at):
    with at.wire() as wire:
        asked = wire.ask(head("HEAD /v1/models HTTP/1.1"), "HEAD")
        page = wire.ask(head("GET /v1/models HTTP/1.1"), "GET")
    same((asked.status, asked.header("content-length")), (200, str(len(page.body))), "status and length")


def unknown_path(path):
    @case(f"{path} is 404 in OpenAI's form")
    def check(at):
        refused(at.post(path, RECORDED), 404, "unknown_path", at.id)
        same(at.legs(), [], "what an engine got")


for unknown in ("/", "/v1", "/v1/chat/completions/", "//v1/completions", "/v1/../v1/completions", "/v1/engines/x/completions", "/metrics",
                "/pd/requests", "/v1/responses/resp_1/input_items", "/inference/v1/generate"):
    unknown_path(unknown)


# ---- forbidden: one recipient might take it for another request than the next ----

def hostile(title, *headers, body=b"", line=f"POST {COMPLETIONS} HTTP/1.1", raw=None, statuses=(400,)):
    """Bytes that must be refused, with the connection closed and nothing behind them read as a request."""
    smuggled = post(COMPLETIONS, RECORDED, "x-request-id: smuggled")

    @case(f"refused, connection closed: {title}")
    def check(at):
        before = at.fleet.recorder.count()
        request = raw if raw is not None else head(line, f"x-request-id: {at.id}", *headers) + body
        with at.wire() as wire:
            answer = wire.send(request + smuggled).answer()
            assert answer.status in statuses, f"the status is {answer.status}, not {statuses}: {answer.body[:200]!r}"
            same(answer.header("content-type"), "application/json", "content-type")
            same(list(answer.json()), ["error"], "the error's body")
            within(answer.error()["message"], f"(request {answer.header('x-request-id')})", "the message")
            assert wire.is_closed(), "what stands behind was answered"
        same(at.fleet.recorder.count(), before, "the number of requests that engines got")


KEPT = text(RECORDED)
LENGTH = f"content-length: {len(KEPT)}"
hostile("Content-Length beside Transfer-Encoding", LENGTH, *CHUNKED, body=chunks(KEPT, 10))
hostile("Transfer-Encoding before Content-Length", *CHUNKED, "content-length: 4", body=chunks(KEPT, 10))
hostile("two Content-Lengths that differ", "content-length: 0", LENGTH, body=KEPT)
hostile("a list of Content-Lengths that differ", f"content-length: 0, {len(KEPT)}", body=KEPT)
for bad_length in ("+5", "-5", "0x5", "5 5", "5;", "", "99999999999999999999"):
    hostile(f"Content-Length: {bad_length or 'nothing'}", f"content-length: {bad_length}", body=KEPT)
for bad_encoding in ("chunked, identity", "xchunked", "identity, chunked, chunked", "chunked\x0b", "gzip"):
    hostile(f"Transfer-Encoding: {bad_encoding!r}", f"transfer-encoding: {bad_encoding}", body=chunks(KEPT, 10), statuses=(400, 501))
hostile("two Transfer-Encodings, chunked and identity", *CHUNKED, "transfer-encoding: identity", body=chunks(KEPT, 10), statuses=(400, 501))
hostile("Transfer-Encoding in HTTP/1.0", *CHUNKED, line=f"POST {COMPLETIONS} HTTP/1.0", body=chunks(KEPT, 10))
hostile("a length that is folded", "content-length: 1\r\n 5", body=KEPT)
hostile("a space before a header's colon", f"content-length : {len(KEPT)}", body=KEPT)
hostile("a header's name with a space", LENGTH, "x a: b", body=KEPT)
hostile("a header line without a colon", LENGTH, "nothing", body=KEPT)
hostile("a NUL in a header", LENGTH, "x-nul: a\0b", body=KEPT)
hostile("a bare carriage return in a header", LENGTH, "x-cr: a\rtransfer-encoding: chunked", body=KEPT)
hostile("lines of the head that end with bare line feeds", raw=head(f"POST {COMPLETIONS} HTTP/1.1", LENGTH).replace(b"\r\n", b"\n") + KEPT)
hostile("one header line that ends with a bare line feed", raw=head(f"POST {COMPLETIONS} HTTP/1.1", "x-a: b\nx-c: d", LENGTH) + KEPT)
hostile("no Host (RFC 9112, 3.2)", raw=head(f"POST {COMPLETIONS} HTTP/1.1", LENGTH).replace(b"host: conformance\r\n", b"") + KEPT)
hostile("two Hosts", LENGTH, "host: a", "host: b", body=KEPT)
hostile("no version", LENGTH, line=f"POST {COMPLETIONS}", body=KEPT)
hostile("a head larger than 32 KiB", LENGTH, "x-large: " + "a" * (40 << 10), body=KEPT, statuses=(431,))
hostile("a target of 40 KiB", LENGTH, line=f"POST {COMPLETIONS}?{'a' * (40 << 10)} HTTP/1.1", body=KEPT, statuses=(414,))


def bad_chunks(title, body):
    """By then the exchange has begun. RFC 9112 allows to close without an answer; what must not be is that somebody reads on."""
    @case(f"the connection ends, no engine is asked: {title}")
    def check(at):
        before = at.fleet.recorder.count()
        with at.wire() as wire:
            request = head(f"POST {COMPLETIONS} HTTP/1.1", *CHUNKED, f"x-request-id: {at.id}") + body
            same(wire.send(request + post(COMPLETIONS, RECORDED)).rest(), b"", "what is answered")
        at.exchange()
        same(at.fleet.recorder.count(), before, "the number of requests that engines got")


for bad_size in (b"0x5", b"-5", b"+5", b"5 5", b"g", b"", b"fffffffffffffffff", b"\x0b5"):
    bad_chunks(f"chunk size {bad_size.decode()!r}", bad_size + b"\r\nabcde\r\n0\r\n\r\n")
bad_chunks("a chunk that is longer than its size", b"5\r\nabcdefgh\r\n0\r\n\r\n")
bad_chunks("a chunk size that ends with a bare line feed", b"%x\n%s\r\n0\r\n\r\n" % (len(KEPT), KEPT))
bad_chunks("a chunk extension with a bare line feed", b"%x;a\nb\r\n%s\r\n0\r\n\r\n" % (len(KEPT), KEPT))


def other_version(title, request):
    @case(f"501 without a body, connection closed: {title}")
    def check(at):
        before = at.fleet.recorder.count()
        with at.wire() as wire:
            answer = wire.send(request + post(COMPLETIONS, RECORDED)).rest()
        within(answer.split(b"\r\n")[0], b" 501 ", "the status line")
        same(answer.count(b"HTTP/"), 1, f"the number of answers in {answer!r}")
        same(answer[-4:], b"\r\n\r\n", "the answer's end")
        same(at.fleet.recorder.count(), before, "the number of requests that engines got")


other_version("HTTP/3.7", head(f"POST {COMPLETIONS} HTTP/3.7", LENGTH) + KEPT)
other_version("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


@case("a folded header is one line for the engine (RFC 9112, 5.2)", COMPLETIONS, WHOLE, BYPASSED, NO_PREFILL)
def folded(at):
    same(at.post(COMPLETIONS, RECORDED, "x-folded: a\r\n b").status, 200, "the status")
    same(at.leg("both").header("x-folded").split(), ["a", "b"], "the header at the engine")


@case("a folded Transfer-Encoding is the one that is meant, and nothing behind its body is read as part of it", COMPLETIONS, WHOLE, BYPASSED, NO_PREFILL)
def folded_encoding(at):
    request = head(f"POST {COMPLETIONS} HTTP/1.1", "transfer-encoding:\r\n chunked", f"x-request-id: {at.id}") + chunks(KEPT, 10)
    with at.wire() as wire:
        wire.send(request + head("GET /health HTTP/1.1"))
        same((wire.answer().status, wire.answer("GET").body), (200, b'{"status":"ok"}'), "the answers")
    same(at.leg("both").body, KEPT, "the engine's body")


# ---- sizes ----

@case("a length above the limit is 413 before the body comes", CHAT)
def too_long(at):
    with at.wire() as wire:
        answer = wire.ask(head(f"POST {CHAT} HTTP/1.1", f"content-length: {fleet.MOST_BODY_BYTES + 1}", f"x-request-id: {at.id}"))
        refused(answer, 413, "body_too_large", at.id)
        within(answer.error()["message"], str(fleet.MOST_BODY_BYTES), "the message")
        same(answer.header("connection"), "close", "connection")


@case("a chunked body above the limit is 413, which the client can read although it goes on sending", CHAT)
def too_many_chunks(at):
    body = chunks(b"x" * (fleet.MOST_BODY_BYTES + (64 << 10)), 16 << 10)
    with at.wire() as wire:
        answer = wire.send(head(f"POST {CHAT} HTTP/1.1", *CHUNKED, f"x-request-id: {at.id}") + body).answer()
        refused(answer, 413, "body_too_large", at.id)
        assert wire.is_closed(), "the connection stays open"


@case("a body as large as the limit is accepted", COMPLETIONS, WHOLE, BYPASSED, NO_PREFILL)
def just_fits(at):
    body = text(RECORDED)
    body = body[:-1] + b" " * (fleet.MOST_BODY_BYTES - len(body)) + b"}"
    same(at.post(COMPLETIONS, body).status, 200, "the status")
    same(len(at.leg("both").body), fleet.MOST_BODY_BYTES, "the size of the engine's body")


@case("a body that breaks off reaches no engine", COMPLETIONS)
def broken_off(at):
    before = at.fleet.recorder.count()
    with at.wire() as wire:
        wire.send(post(COMPLETIONS, RECORDED, f"x-request-id: {at.id}")[:-5])
        time.sleep(0.05)
        wire.reset()
    at.exchange()
    same(at.fleet.recorder.count(), before, "the number of requests that engines got")
