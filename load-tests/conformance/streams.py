"""Server-sent events: whose bytes they are, how they end, and what happens where a stream or its client does not last."""
import time

from cases import (BYPASSED, CHAT, COMPLETIONS, DISAGGREGATED, GENERATING, MESSAGES, NO_PREFILL, RESPONSES, STREAM, WHOLE, alike, case, prompt,
                   prompt_tokens, said, same, usage, within)
from wire import post

WAYS = (("pair", "alone", DISAGGREGATED, None), ("plain", "plain", BYPASSED, NO_PREFILL))
NAMED = (RESPONSES, MESSAGES)


def one_engines(api, model, engine, way, why, stream):
    @case("the answer is one engine's to the last byte", api, STREAM if stream else WHOLE, way, why)
    def check(at):
        body = prompt(api, f"bytes {at.id}", model, 9, stream=stream)
        answer, one = at.post(api, body), at.one_engine(api, body, engine)
        same(answer.status, 200, "the status")
        same(answer.header("content-type"), "text/event-stream; charset=utf-8" if stream else "application/json", "content-type")
        same(alike(answer.body), alike(one.body), "the answer")


def counted(api, model, engine, way, why):
    @case("usage has the prompt's tokens once", api, WHOLE, way, why)
    def check(at):
        text = f"count {at.id} é"
        same(usage(api, at.post(api, prompt(api, text, model, 5)).json()["usage"]), (prompt_tokens(api, text), 5), "usage")


for every_api in GENERATING:
    for each_way in WAYS:
        for streamed in (False, True):
            one_engines(every_api, *each_way, streamed)
        counted(every_api, *each_way)


def texts(api, events):
    """What a stream's events say, one after the other."""
    if api == CHAT:
        return [choice["delta"].get("content") or "" for event in events for choice in event.json()["choices"]]
    if api == COMPLETIONS:
        return [choice["text"] for event in events for choice in event.json()["choices"]]
    if api == RESPONSES:
        return [event.json()["delta"] for event in events if event.name == "response.output_text.delta"]
    return [event.json()["delta"]["text"] for event in events if event.name == "content_block_delta"]


def spoken(api):
    ends = "data: [DONE], once" if api not in NAMED else "its own last event, without [DONE]"

    @case(f"a stream says what the whole answer says, token by token, and ends with {ends}", api, STREAM, DISAGGREGATED)
    def check(at):
        body = prompt(api, f"spoken {at.id}", tokens=7)
        events = at.post(api, body | {"stream": True}).events()
        if api in NAMED:
            same(events[-1].name, "response.completed" if api == RESPONSES else "message_stop", "the last event")
            same([event.json()["type"] for event in events], [event.name for event in events], "the events' types")
            assert all("[DONE]" not in event.data for event in events), "there is a [DONE]"
        else:
            same([number for number, event in enumerate(events) if event.data == "[DONE]"], [len(events) - 1], "where [DONE] stands")
            same({event.name for event in events}, {None}, "the events' names")
            events = events[:-1]
        spoken_texts = [text for text in texts(api, events) if text]
        same(len(spoken_texts), 7, "the number of tokens")
        same("".join(spoken_texts), said(api, at.one_engine(api, body)), "the text")
        if api == RESPONSES:
            same([event.json()["sequence_number"] for event in events], list(range(len(events))), "the events' numbers")


for every_api in GENERATING:
    spoken(every_api)


def with_usage(api):
    @case("include_usage puts the counts before [DONE], and nowhere else", api, STREAM, DISAGGREGATED)
    def check(at):
        text = f"usage {at.id}"
        events = at.post(api, prompt(api, text, tokens=4, stream=True, stream_options={"include_usage": True})).events()
        last = events[-2].json()
        same((last["choices"], usage(api, last["usage"])), ([], (prompt_tokens(api, text), 4)), "the last event before [DONE]")
        same([event.json().get("usage") for event in events[:-2]], [None] * (len(events) - 2), "the counts of other events")


with_usage(CHAT)
with_usage(COMPLETIONS)


@case("a long stream, of which nothing is read for a while, comes whole", COMPLETIONS, STREAM, DISAGGREGATED)
def read_slowly(at):
    with at.wire() as wire:
        wire.send(post(COMPLETIONS, prompt(COMPLETIONS, f"slow {at.id}", tokens=400, stream=True), f"x-request-id: {at.id}"))
        time.sleep(0.5)
        same(len(wire.answer().events()), 401, "the number of events")


@case("an engine that writes byte by byte is understood", CHAT, STREAM, DISAGGREGATED)
def bytewise(at):
    usual = at.post(CHAT, prompt(CHAT, "a", "recorded", stream=True))
    answer = at.ask(post(CHAT, prompt(CHAT, "a", "recorded", stream=True), "x-script: bytes"))
    same(answer.body, usual.body, "the stream")


# ---- what goes wrong ----

def first_event_fails(api):
    @case("a 200 whose first event is an error is answered as that error", api, STREAM)
    def check(at):
        answer = at.post(api, prompt(api, "a", "recorded", stream=True), "x-script: fails-first")
        same((answer.status, answer.header("content-type")), (400, "application/json"), "status and content-type")
        same(answer.error()["message"], "its own words", "the message")
        same(answer.header("x-request-id"), at.id, "x-request-id")


def dies(api):
    shape = "an event named error" if api in NAMED else "data: {\"error\"}"

    @case(f"an engine that dies amid an event: nothing of that is shown, then comes {shape}, and no [DONE]", api, STREAM)
    def check(at):
        answer = at.post(api, prompt(api, "a", "recorded", stream=True), "x-script: dies")
        same(answer.status, 200, "the status")
        assert b"half" not in answer.body, f"half an event is shown: {answer.body!r}"
        last = answer.events()[-1]
        same((last.name, last.json().get("type")), ("error", "error") if api in NAMED else (None, None), "the last event's name and type")
        same(last.json()["error"]["code"], "decode_broken", "code")
        within(last.json()["error"]["message"], f"(request {at.id})", "the message")
        assert b"[DONE]" not in answer.body, "there is a [DONE]"
        same(at.exchange()["ending"], "Failed", "the exchange's ending")


def leaves(api):
    @case("a client that leaves in mid-stream closes the engine's connection", api, STREAM)
    def check(at):
        with at.wire() as wire:
            wire.send(post(api, prompt(api, "a", "recorded", stream=True), f"x-request-id: {at.id}", "x-script: endless"))
            wire.until(b"orded")
            wire.reset()
        assert at.leg("decode").gone.wait(10), "the engine goes on"
        same(at.exchange()["ending"], "ClientLeft", "the exchange's ending")


for every_api in GENERATING:
    first_event_fails(every_api)
    dies(every_api)
    leaves(every_api)


@case("a client that leaves a simulated pair leaves nothing open", CHAT, STREAM)
def nothing_stays(at):
    with at.wire() as wire:
        wire.send(post(CHAT, prompt(CHAT, f"leaves {at.id}", tokens=2000, stream=True), f"x-request-id: {at.id}"))
        wire.until(b"data: ")
    same(at.exchange()["ending"], "ClientLeft", "the exchange's ending")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        now = at.fleet.occupancy()
        left = (now["open_exchanges"], now["reservations"], now["hand_offs"]["open"], sum(worker["open_legs"] for worker in now["workers"]))
        if left == (0, 0, 0, 0):
            return
        time.sleep(0.02)
    same(left, (0, 0, 0, 0), "exchanges, reservations, hand-offs and legs that are open")


@case("a client that leaves before the answer begins is noticed", COMPLETIONS, WHOLE)
def leaves_early(at):
    with at.wire() as wire:
        wire.send(post(COMPLETIONS, prompt(COMPLETIONS, f"early {at.id}", tokens=2000), f"x-request-id: {at.id}"))
        time.sleep(0.1)
        wire.reset()
    same(at.exchange()["ending"], "ClientLeft", "the exchange's ending")
