"""What a case is, and what every case of raw bytes has at hand."""
import dataclasses
import itertools
import re
import typing

from wire import Answer, Wire, post

DISAGGREGATED, BYPASSED, PRIMED, NONE = "disaggregated", "bypassed", "primed", "–"
STREAM, WHOLE = "yes", "no"

NO_PREFILL = "its route has no prefill stage"
TOGETHER = "with others, so that the engine's counters cannot tell them apart"
CHAT, COMPLETIONS, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"
GENERATING = (CHAT, COMPLETIONS, RESPONSES, MESSAGES)


@dataclasses.dataclass(frozen=True)
class Case:
    """
    One row of the table.

    title: what is expected
    way: whether a prefill and a decode engine, or one engine alone, must have computed the answer; the admin port is asked
    why: the admin port's reason, where one engine alone computes it; TOGETHER where the bytes of this exchange cannot be told
    """

    title: str
    client: str
    api: str
    streaming: str
    way: str
    why: str | None = None
    check: typing.Callable | None = None
    kind: str = ""
    model: str = ""


RAW: list = []


def case(title, api=NONE, streaming=NONE, way=NONE, why=None):
    """Declares a case of raw bytes; the function fails by an assertion."""
    def declare(check):
        RAW.append(Case(title, "raw socket", api, streaming, way, why, check))
        return check
    return declare


def same(actual, expected, what):
    assert actual == expected, f"{what} is {actual!r}, not {expected!r}"


def within(text, part, what):
    assert part in text, f"{what} is {text!r}, without {part!r}"


def refused(answer, status, code, request_id=None, form="openai"):
    """Millrace's own error: status, code, the form of the endpoint, and the request's id in message and header."""
    same(answer.status, status, f"the status of {answer.body[:200]!r}")
    same(answer.header("content-type"), "application/json", "content-type")
    body = answer.json()
    same(list(body), ["error"] if form == "openai" else ["type", "error"], "the members of the error's body")
    if form != "openai":
        same(body["type"], "error", "type")
    error = body["error"]
    same(list(error), ["message", "type", "param", "code"], "the error's members")
    same(error["code"], code, "code")
    kinds = {404: "not_found_error", 408: "timeout_error", 504: "timeout_error", 429: "rate_limit_error"}
    same(error["type"], kinds.get(status, "invalid_request_error" if status < 500 else "server_error"), "type")
    echoed = answer.header("x-request-id")
    assert echoed, "there is no x-request-id"
    assert error["message"].endswith(f"(request {echoed})"), f"the message is {error['message']!r}"
    if request_id is not None:
        same(echoed, request_id, "x-request-id")


def prompt(api, text, model="pair", tokens=6, **members):
    """A request for the same in the words of each endpoint."""
    asked = {
        CHAT: {"messages": [{"role": "user", "content": text}], "max_completion_tokens": tokens},
        COMPLETIONS: {"prompt": text, "max_tokens": tokens},
        RESPONSES: {"input": text, "max_output_tokens": tokens},
        MESSAGES: {"messages": [{"role": "user", "content": text}], "max_tokens": tokens},
    }[api]
    return {"model": model} | asked | members


def prompt_tokens(api, text):
    """The simulated model has a token for each byte, and its template puts some around a message."""
    return len((text if api == COMPLETIONS else f"<|user|>\n{text}\n<|assistant|>\n").encode())


def usage(api, counts):
    """Prompt and answer tokens of an answer's usage."""
    names = ("prompt_tokens", "completion_tokens") if api in (CHAT, COMPLETIONS) else ("input_tokens", "output_tokens")
    return tuple(counts[name] for name in names)


def said(api, answer):
    """The text of a whole answer."""
    body = answer.json()
    return {CHAT: lambda: body["choices"][0]["message"]["content"], COMPLETIONS: lambda: body["choices"][0]["text"],
            RESPONSES: lambda: body["output"][0]["content"][0]["text"], MESSAGES: lambda: body["content"][0]["text"]}[api]()


def alike(body):
    """An answer's bytes without what differs from one request to the next and from one engine to another."""
    text = re.sub(rb'"created(_at)?":\d+', b'"created":0', body)
    text = re.sub(rb"(resp|msg)_[0-9a-f]{16}", b"id", text)
    return re.sub(rb"vllm-[0-9.]+(\+millrace-sim)?-[0-9a-f]{8}", b"fingerprint", text)


class Stage:
    """A case's view of the processes."""

    numbers = itertools.count(1)

    def __init__(self, fleet, run):
        self.fleet, self.id = fleet, f"{run}-{next(self.numbers)}"

    def wire(self):
        return Wire(self.fleet.port)

    def ask(self, request, method="POST") -> Answer:
        """Sends bytes over a connection of their own, and reads one answer."""
        with self.wire() as wire:
            return wire.ask(request, method)

    def post(self, path, body, *headers):
        return self.ask(post(path, body, f"x-request-id: {self.id}", *headers))

    def one_engine(self, path, body, engine="alone"):
        """What one engine says that computes everything, without Millrace."""
        with Wire(int(self.fleet.url[engine].rsplit(":", 1)[1])) as wire:
            return wire.ask(post(path, body, f"x-request-id: {self.id}"))

    def legs(self, request_id=None):
        return self.fleet.recorder.of(request_id or self.id)

    def leg(self, role):
        found = [leg for leg in self.legs() if leg.role == role]
        same(len(found), 1, f"the number of legs with the {role} worker")
        return found[0]

    def exchange(self, settled=lambda record: True):
        return self.fleet.exchange(self.id, settled)


def evidence(fleet, request_id, way, why):
    """Holds an exchange to the way that it should have gone."""
    if way == NONE:
        return
    record = fleet.exchange(request_id)
    decode, simulated = record["decode"], record["decode"] in fleet.url.values()
    assert decode is not None, f"no decode worker answered: {record}"
    if way == BYPASSED:
        same(record["bypass"], why, "the reason for one worker alone")
        same((record["prefill"], record["primed"]), (None, None), "the prefill worker of what is computed alone")
        return
    same(record["bypass"], None, "the reason for one worker alone")
    if way == PRIMED:
        same(record["primed"], {"prompts": int(why), "across": int(why)}, "what was primed")
        return
    assert record["prefill"] is not None, f"there was no prefill: {record}"
    same(record["carriage"]["way"], "engine", "the way that blocks went")
    if simulated and why != TOGETHER:
        same(record["transfer"]["outcome"], "transferred", f"what became of the blocks, {record['transfer']}")
        assert record["transfer"]["bytes"] > 0, f"nothing was moved: {record['transfer']}"
