"""Which headers pass in which direction, and the id that ties an exchange together."""
import re

from cases import (BYPASSED, CHAT, COMPLETIONS, DISAGGREGATED, MESSAGES, NO_PREFILL, STREAM, WHOLE, case, prompt, refused, same)
from wire import head, post

HOP_BY_HOP = ("connection: keep-alive, x-named", "x-named: 1", "keep-alive: timeout=9", "proxy-connection: keep-alive", "te: trailers",
              "trailer: x-t", "upgrade: websocket", "proxy-authorization: Basic eA==", "proxy-authenticate: Basic")
OF_ROUTERS = ("x-data-parallel-rank: 3", "x-data-parallel-host: evil", "X-Data-Parallel-Rank: 4", "x-bootstrap-room: 7", "x-bootstrap-host: evil",
              "x-prefiller-host-port: evil:1")


def legs_without(what, headers, names):
    for model, way, why in (("recorded", DISAGGREGATED, None), ("kept", BYPASSED, NO_PREFILL)):
        @case(f"{what} reach no engine", COMPLETIONS, WHOLE, way, why)
        def check(at, model=model):
            same(at.post(COMPLETIONS, prompt(COMPLETIONS, "a", model), *headers).status, 200, "the status")
            legs = at.legs()
            same(len(legs), 2 if model == "recorded" else 1, "the number of legs")
            for leg in legs:
                same([name for name, _ in leg.headers if name in names], [], f"what the {leg.role} worker got")


legs_without("hop-by-hop headers", HOP_BY_HOP, {"connection", "x-named", "keep-alive", "proxy-connection", "te", "trailer", "upgrade",
                                                "proxy-authorization", "proxy-authenticate", "transfer-encoding"})
legs_without("headers between routers and engines", OF_ROUTERS, {line.split(":")[0].lower() for line in OF_ROUTERS})
legs_without("accept-encoding", ("accept-encoding: gzip, br",), {"accept-encoding"})


@case("headers of the client reach both engines", CHAT, WHOLE, DISAGGREGATED)
def headers_pass(at):
    sent = {"authorization": "Bearer key", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "user-agent": "conformance/1",
            "x-mine": "a, b", "cookie": "a=b", "openai-organization": "org"}
    same(at.post(CHAT, prompt(CHAT, "a", "recorded"), *(f"{name}: {value}" for name, value in sent.items())).status, 200, "the status")
    for role in ("prefill", "decode"):
        leg = at.leg(role)
        same({name: leg.header(name) for name in sent}, sent, f"what the {role} worker got")
        same(leg.header("host"), at.fleet.recorder.url(role).removeprefix("http://"), "its host")
        same(leg.header("content-length"), str(len(leg.body)), "its length")


@case("hop-by-hop headers of an engine do not reach the client; others do", COMPLETIONS, WHOLE, DISAGGREGATED)
def engines_headers(at):
    answer = at.post(COMPLETIONS, prompt(COMPLETIONS, "a", "recorded"))
    same((answer.header("x-mine"), answer.header("server")), ("1", "recorder"), "the engine's headers")
    same([name for name, _ in answer.headers if name in ("keep-alive", "x-hop", "proxy-authenticate", "connection")], [], "what is not for the client")
    same(answer.header("x-request-id"), at.id, "x-request-id")


def leak(streaming):
    @case("an engine's transfer parameters do not reach the client", COMPLETIONS, streaming, DISAGGREGATED)
    def check(at):
        answer = at.post(COMPLETIONS, prompt(COMPLETIONS, "a", "recorded", stream=streaming == STREAM), "x-script: leaks")
        same(answer.status, 200, "the status")
        for secret in (b"remote_block_ids", b"remote_engine_id", b"28111"):
            assert secret not in answer.body, f"the client gets {secret.decode()}: {answer.body!r}"
        if streaming == STREAM:
            same([event.json()["kv_transfer_params"] for event in answer.events()[-2:-1]], [None], "what is left of them")


leak(WHOLE)
leak(STREAM)


# ---- ids ----

def kept_id(title, made):
    @case(f"x-request-id is kept, and both engines get it: {title}", COMPLETIONS, WHOLE)
    def check(at):
        name = made(at.id)
        answer = at.ask(post(COMPLETIONS, prompt(COMPLETIONS, "a", "recorded"), f"x-request-id: {name}"))
        same(answer.header("x-request-id"), name, "x-request-id")
        same(sorted(leg.role for leg in at.legs(name)), ["decode", "prefill"], "the legs with this id")
        same(at.fleet.exchange(name)["id"], name, "the id at the admin port")


kept_id("letters, digits, - and _", lambda own: f"Az09-_{own}")
kept_id("128 characters", lambda own: own + "x" * (128 - len(own)))


def replaced_id(title, name):
    @case(f"x-request-id is replaced, on both legs too: {title}", COMPLETIONS, WHOLE)
    def check(at):
        answer = at.ask(post(COMPLETIONS, prompt(COMPLETIONS, "a", "recorded"), f"x-request-id: {name}"))
        own = answer.header("x-request-id")
        assert re.fullmatch("[0-9a-f]{32}", own), f"x-request-id is {own!r}"
        same(sorted(leg.role for leg in at.legs(own)), ["decode", "prefill"], "the legs with the new id")


for bad_title, bad_name in (("129 characters", "x" * 129), ("a path", "../../etc/passwd"), ("a space", "a b"), ("a dot", "a.b"), ("a quote", 'a"b'),
                            ("a percent sign", "a%0d"), ("a letter that is not ASCII", "\u00e9"), ("nothing", "")):
    replaced_id(bad_title, bad_name)


@case("without x-request-id each answer has one of its own, errors and pages too")
def fresh_ids(at):
    requests = [post(COMPLETIONS, prompt(COMPLETIONS, "a", "kept")), post(COMPLETIONS, b"{"), post("/nowhere", b"{}"), post(MESSAGES, b"[]")]
    found = [at.ask(request).header("x-request-id") for request in requests]
    found += [at.ask(head(f"GET {path} HTTP/1.1"), "GET").header("x-request-id") for path in ("/v1/models", "/health", CHAT)]
    assert all(name and re.fullmatch("[0-9a-f]{32}", name) for name in found), f"the ids are {found}"
    same(len(set(found)), len(found), "the number of different ids")


@case("an error's message ends with the client's own id", MESSAGES)
def id_in_message(at):
    refused(at.post(MESSAGES, b"{"), 400, "invalid_json", at.id, "anthropic")


@case("a stream has the id in its head", CHAT, STREAM, DISAGGREGATED)
def id_of_stream(at):
    same(at.post(CHAT, prompt(CHAT, f"id {at.id}", stream=True)).header("x-request-id"), at.id, "x-request-id")
