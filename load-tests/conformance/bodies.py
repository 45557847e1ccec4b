"""What bodies are refused, in which form, and what is made of those that are not: the members that docs/api.md says are rewritten."""
import json

import recorder
from cases import (BYPASSED, CHAT, COMPLETIONS, DISAGGREGATED, GENERATING, MESSAGES, NO_PREFILL, PRIMED, RESPONSES, STREAM, WHOLE, alike, case,
                   prompt, refused, same, usage, within)
from wire import post

ASKS = {"do_remote_decode": True, "do_remote_prefill": False, "remote_engine_id": None, "remote_block_ids": None, "remote_host": None,
        "remote_port": None}


def get(path, *headers):
    return post(path, b"", *headers).replace(b"POST", b"GET")


def form(api):
    return "anthropic" if api.startswith(MESSAGES) else "openai"


# ---- refused ----

def bad(title, body, code="invalid_json", api=COMPLETIONS, status=400, headers=()):
    @case(f"{status} {code}: {title}", api)
    def check(at):
        before = at.fleet.recorder.count()
        refused(at.post(api, body, *headers), status, code, at.id, form(api))
        same(at.fleet.recorder.count(), before, "the number of requests that engines got")


for every_api in (*GENERATING, "/v1/embeddings", "/v1/messages/count_tokens"):
    bad("JSON that breaks off", b'{"model":"kept","prompt":', api=every_api)
for every_api in GENERATING:
    bad("a model that nobody has", {"model": "no such \"model\"", "messages": []}, "model_not_found", every_api, 404)
    bad("no model", {"messages": []}, "model_missing", every_api)
bad("no body at all", b"")
bad("white space alone", b" \r\n")
bad("a list", b'[{"model":"kept"}]')
bad("two objects", b'{"model":"kept","prompt":"a"}{"model":"plain"}')
bad("something behind the object", b'{"model":"kept","prompt":"a"}x')
bad("a comma at the end", b'{"model":"kept","prompt":"a",}')
bad("single quotes", b"{'model':'kept'}")
bad("NaN", b'{"model":"kept","temperature":NaN}')
bad("a comment", b'{"model":"kept"/* */}')
bad("a control character in a string", b'{"model":"kept","prompt":"a\x01"}')
bad("an escape that there is not", b'{"model":"kept","prompt":"\\x41"}')
bad("a byte order mark", b'\xef\xbb\xbf{"model":"kept"}')
bad("UTF-16", '{"model":"kept"}'.encode("utf-16"))
bad("a byte that is no UTF-8", b'{"model":"kept","prompt":"\xff"}')
bad("ten thousand lists in each other", b'{"model":"kept","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}")
for name, value in (("model", '"kept"'), ("stream", "false"), ("max_tokens", "3"), ("prompt", '"b"'), ("n", "1"), ("kv_transfer_params", "{}")):
    once = "" if name == "model" else '"model":"kept",'
    bad(f"{name} twice", f'{{{once}"{name}":{value},"{name}":{value}}}'.encode(), "duplicate_member")
bad("model twice, once as an escape", b'{"model":"kept","mod\\u0065l":"plain"}', "duplicate_member")
for name, value in (("stream", '"yes"'), ("stream", "1"), ("max_tokens", '"7"'), ("max_tokens", "1.5"), ("n", "true"), ("model", "7")):
    once = "" if name == "model" else '"model":"kept",'
    bad(f"{name} is {value}", f'{{{once}"{name}":{value}}}'.encode(), "invalid_type")
bad("a stream as text, of messages", {"model": "kept", "stream": "yes"}, "invalid_type", MESSAGES)
bad("a compressed body", {"model": "kept"}, "content_encoding_unsupported", status=415, headers=("content-encoding: gzip",))
bad("a compressed body of messages", {"model": "kept"}, "content_encoding_unsupported", MESSAGES, 415, ("content-encoding: gzip",))
for every_api in GENERATING:
    bad("nobody listens, with Retry-After", prompt(every_api, "a", "gone"), "decode_unreachable", every_api, 503)
bad("no prefill worker listens", prompt(CHAT, "a", "lost"), "prefill_unreachable", CHAT, 503)


@case("503 says when to come back", CHAT)
def retry_after(at):
    same(at.post(CHAT, prompt(CHAT, "a", "gone")).header("retry-after"), "1", "retry-after")


@case("a form whose field names no model is 404", "/v1/audio/transcriptions")
def form_of_another_model(at):
    body = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nnobody\r\n--b--\r\n'
    request = post("/v1/audio/transcriptions", body, f"x-request-id: {at.id}")
    refused(at.ask(request.replace(b"application/json", b"multipart/form-data; boundary=b")), 404, "model_not_found", at.id)


# ---- an engine's own words ----

def engines_error(api, model, way, why):
    @case("an engine's error passes with its status and bytes", api, WHOLE)
    def check(at):
        answer = at.post(api, prompt(api, "a", model), "x-script: refuse")
        same((answer.status, answer.body), (400, recorder.ENGINES_ERROR), "the answer")
        same(answer.header("x-mine"), "1", "a header of the engine")
        same(answer.header("x-request-id"), at.id, "x-request-id")


for every_api in GENERATING:
    engines_error(every_api, "recorded", DISAGGREGATED, None)


@case("a decode engine's 400 is its own, to the last byte", CHAT, WHOLE)
def too_many_tokens(at):
    body = prompt(CHAT, "a", tokens=1_000_000)
    answer, one = at.post(CHAT, body), at.one_engine(CHAT, body, "decode")
    same((answer.status, answer.body), (400, one.body), "the answer")


@case("an error in the clothes of a 200 is answered 502", COMPLETIONS, WHOLE)
def error_as_200(at):
    refused(at.post(COMPLETIONS, prompt(COMPLETIONS, "a", "recorded"), "x-script: fails-as-200"), 502, "decode_garbage", at.id)


# ---- rewritten ----

def rewritten(api, sent, prefill, decode):
    """To the last byte: what stands in front, white space and unknown members are the client's."""
    asks = json.dumps(ASKS, separators=(",", ":"))
    params = json.dumps(recorder.PARAMETERS)

    @case("engines get the client's bytes, with what is documented rewritten", api, WHOLE, DISAGGREGATED)
    def check(at):
        same(at.post(api, sent.encode()).status, 200, "the status")
        same(at.leg("prefill").body.decode(), prefill.replace("ASKS", asks), "the prefill worker's body")
        same(at.leg("decode").body.decode(), decode.replace("PARAMS", params), "the decode worker's body")


rewritten(COMPLETIONS,
          '{ "x" : [1e0,"é"],"model":"recorded","prompt":[1,2],"max_tokens":7,"min_tokens":3,"stop":["a"],"logprobs":1}',
          '{ "x" : [1e0,"é"],"model":"recorded","prompt":[1,2],"max_tokens":1,"stop":["a"],"logprobs":1,"kv_transfer_params":ASKS}',
          '{ "x" : [1e0,"é"],"model":"recorded","prompt":[1,2],"max_tokens":7,"min_tokens":3,"stop":["a"],"logprobs":1,"kv_transfer_params":PARAMS}')
rewritten(RESPONSES,
          '{"model":"recorded","input":"a","store":true}',
          '{"model":"recorded","input":"a","store":false,"max_output_tokens":1,"kv_transfer_params":ASKS}',
          '{"model":"recorded","input":"a","store":true,"kv_transfer_params":PARAMS}')
rewritten(MESSAGES,
          '{"model":"recorded","max_tokens":9,"messages":[{"role":"user","content":"a"}],"stop_sequences":["b"]}',
          '{"model":"recorded","max_tokens":1,"messages":[{"role":"user","content":"a"}],"stop_sequences":["b"],"kv_transfer_params":ASKS}',
          '{"model":"recorded","max_tokens":9,"messages":[{"role":"user","content":"a"}],"stop_sequences":["b"],"kv_transfer_params":PARAMS}')


@case("a stream is asked of the decode worker alone", CHAT, STREAM, DISAGGREGATED)
def stream_is_the_decode_workers(at):
    same(at.post(CHAT, prompt(CHAT, "a", "recorded", stream=True, stream_options={"include_usage": True})).status, 200, "the status")
    prefill, decode = at.leg("prefill").json(), at.leg("decode").json()
    same((prefill["stream"], prefill.get("stream_options"), prefill["max_completion_tokens"]), (False, None, 1), "what the prefill worker is asked")
    same((decode["stream"], decode["stream_options"], decode["max_completion_tokens"]), (True, {"include_usage": True}, 6), "the decode worker")


def never(api, model, way, why):
    own = {"kv_transfer_params": {"remote_host": "evil", "do_remote_prefill": True}, "ec_transfer_params": {"a": 1}, "bootstrap_host": "evil",
           "bootstrap_port": 1, "bootstrap_room": 7, "data_parallel_rank": 3}

    @case("a client's own transfer parameters, bootstrap fields and rank reach no engine", api, WHOLE, way, why)
    def check(at):
        same(at.post(api, own | prompt(api, "a", model) if api in GENERATING else own | {"model": model, "input": "a"}).status, 200, "the status")
        legs = at.legs()
        same(sorted(leg.role for leg in legs), ["both"] if way == BYPASSED else ["decode", "prefill"], "who was asked")
        for leg in legs:
            body = leg.json()
            same([name for name in own if name in body and name != "kv_transfer_params"], [], f"what the {leg.role} worker got")
            same(body.get("kv_transfer_params"), {"prefill": ASKS, "decode": recorder.PARAMETERS, "both": None}[leg.role], "its parameters")


for every_api in GENERATING:
    never(every_api, "recorded", DISAGGREGATED, None)
    never(every_api, "kept", BYPASSED, NO_PREFILL)
never("/v1/embeddings", "kept", BYPASSED, "/v1/embeddings is for one worker")


# ---- which requests one worker computes alone ----

def alone(title, api, why, streaming=WHOLE, **members):
    @case(f"one worker alone: {title}", api, streaming, BYPASSED, why)
    def check(at):
        body = prompt(api, f"{title} {at.id}") | members
        answer = at.post(api, body)
        same(answer.status, 200, f"the status of {answer.body[:200]!r}")
        if streaming == WHOLE:
            same(usage(api, answer.json()["usage"]), usage(api, at.one_engine(api, body).json()["usage"]), "usage")


ABOUT_PROMPT = "prompt_logprobs or echo of a stream, or of several sequences"
alone("a negative truncate_prompt_tokens", COMPLETIONS, "truncate_prompt_tokens", truncate_prompt_tokens=-1)
alone("a negative truncate_prompt_tokens", CHAT, "truncate_prompt_tokens", truncate_prompt_tokens=-1)
alone("prompt_logprobs of a stream", COMPLETIONS, ABOUT_PROMPT, STREAM, stream=True, prompt_logprobs=1)
alone("prompt_logprobs of two sequences", COMPLETIONS, ABOUT_PROMPT, prompt_logprobs=1, n=2)
alone("echo of a stream", COMPLETIONS, ABOUT_PROMPT, STREAM, stream=True, echo=True)
alone("echo of a chat", CHAT, "echo of a chat, or of nothing but the prompt", echo=True)
alone("echo of nothing but the prompt", COMPLETIONS, "echo of a chat, or of nothing but the prompt", echo=True, max_tokens=0)
alone("more than 64 prompts", COMPLETIONS, "several prompts", prompt=["a"] * 65, max_tokens=1)
alone("a response in the background", RESPONSES, "background", background=True)
alone("a response that may be truncated", RESPONSES, "truncation", truncation="auto")
alone("a response with a tool of the engine", RESPONSES, "tools that the engine uses by itself", tools=[{"type": "web_search"}])


KEPT_THERE = "the response that it is about is kept there"


def made(at):
    """A response, by a request of its own."""
    return at.ask(post(RESPONSES, prompt(RESPONSES, at.id), f"x-request-id: {at.id}-made"))


@case("one worker alone: a response that follows another is made where that is kept", RESPONSES, WHOLE, BYPASSED, KEPT_THERE)
def follows(at):
    def following(first):
        return prompt(RESPONSES, "and then?", previous_response_id=first.json()["id"])
    answer = at.post(RESPONSES, following(made(at)))
    same(answer.status, 200, f"the status of {answer.body[:200]!r}")
    one = at.one_engine(RESPONSES, following(at.one_engine(RESPONSES, prompt(RESPONSES, at.id))))
    same(alike(answer.body), alike(one.body), "the answer")


@case("one worker alone: a response that follows an unknown one is refused by the engine in its own words", RESPONSES, WHOLE, BYPASSED,
      "previous_response_id")
def follows_nothing(at):
    body = prompt(RESPONSES, "a", previous_response_id="resp_0")
    answer = at.post(RESPONSES, body)
    same((answer.status, answer.body), (404, at.one_engine(RESPONSES, body).body), "the answer")


@case("a response is shown, and its cancelling refused, by the engine that keeps it", RESPONSES, WHOLE, BYPASSED, KEPT_THERE)
def shown(at):
    response = made(at)
    path = f"{RESPONSES}/{response.json()['id']}"
    cancelled = at.ask(post(f"{path}/cancel", {}, f"x-request-id: {at.id}-cancelled"))
    same((cancelled.status, cancelled.error()["message"]), (400, "Cannot cancel a synchronous response."), "what cancelling is answered")
    answer = at.ask(get(path, f"x-request-id: {at.id}"), "GET")
    same((answer.status, answer.body), (200, response.body), "what is shown")


@case("a response that nobody keeps is 404", RESPONSES)
def not_shown(at):
    refused(at.ask(get(f"{RESPONSES}/resp_0", f"x-request-id: {at.id}"), "GET"), 404, "response_not_found", at.id)


@case("one worker alone: no pair fits, and the route says recompute", CHAT, WHOLE, BYPASSED, "no pair of workers fits")
def recompute(at):
    answer = at.post(CHAT, prompt(CHAT, f"recompute {at.id}", "misfit"))
    same((answer.status, usage(CHAT, answer.json()["usage"])[1]), (200, 6), "status and tokens")


@case("n of zero is refused by the engine in its own words", COMPLETIONS, WHOLE)
def no_sequences(at):
    body = prompt(COMPLETIONS, "a", n=0)
    answer = at.post(COMPLETIONS, body)
    same((answer.status, answer.body), (400, at.one_engine(COMPLETIONS, body).body), "the answer")


def handed_over(title, api, **members):
    """Members that look like those above and keep nobody from disaggregating."""
    @case(f"handed over all the same: {title}", api, WHOLE, DISAGGREGATED)
    def check(at):
        answer = at.post(api, prompt(api, f"{title} {at.id}") | members)
        same(answer.status, 200, f"the status of {answer.body[:200]!r}")


handed_over("n of one", COMPLETIONS, n=1)
handed_over("truncation disabled", RESPONSES, truncation="disabled")
handed_over("tools of the client", RESPONSES, tools=[{"type": "function", "name": "f", "parameters": {}}])


# ---- several sequences, and the prompt itself ----

def primed(title, prompts, **members):
    @case(f"{title}: each prompt is computed once, and the answer is one engine's", COMPLETIONS, WHOLE, PRIMED, str(prompts))
    def check(at):
        body = prompt(COMPLETIONS, f"{'several sequences ' * 4}{at.id}", temperature=1) | members
        if prompts > 1:
            body["prompt"] = [f"{i} {body['prompt']}" for i in range(prompts)]
        answer, one = at.post(COMPLETIONS, body).json(), at.one_engine(COMPLETIONS, body).json()
        same([choice["text"] for choice in answer["choices"]], [choice["text"] for choice in one["choices"]], "the answers")
        same([choice["index"] for choice in answer["choices"]], list(range(len(one["choices"]))), "the indexes")
        same(usage(COMPLETIONS, answer["usage"]), usage(COMPLETIONS, one["usage"]), "usage")


primed("three sequences", 1, n=3)
primed("two prompts", 2)
primed("two prompts, two sequences of each", 2, n=2)


def about_prompt(title, api, **members):
    @case(f"{title} comes from the prefill worker and is one engine's", api, WHOLE, DISAGGREGATED)
    def check(at):
        body = prompt(api, f"about {at.id}") | members
        answer, one = at.post(api, body).json(), at.one_engine(api, body).json()
        for each in (answer, one):
            for name in ("created", "system_fingerprint"):
                each.pop(name)
        same(answer, one, "the answer")


about_prompt("prompt_logprobs", COMPLETIONS, prompt_logprobs=2)
about_prompt("prompt_logprobs", CHAT, prompt_logprobs=2)
about_prompt("echo", COMPLETIONS, echo=True)
about_prompt("echo with logprobs", COMPLETIONS, echo=True, logprobs=2)


# ---- one-worker endpoints and models ----

def one_worker(path, on_engine=None):
    @case("one worker gets the client's bytes", path, WHOLE, BYPASSED, f"{on_engine or path} is for one worker")
    def check(at):
        body = b'{ "model":"kept", "input" : ["\\u00e9", 1e0], "n":"x" }'
        same(at.post(path, body).status, 200, "the status")
        leg = at.leg("both")
        same((leg.path, leg.body), (on_engine or path, body), "what the engine got")


for one_path in ("/v1/embeddings", "/v1/rerank", "/tokenize", "/v1/messages/count_tokens"):
    one_worker(one_path)
one_worker("/v2/rerank", "/v1/rerank")


@case("an endpoint that the engine does not have is the engine's 404", "/pooling", WHOLE)
def engine_without_endpoint(at):
    answer = at.post("/pooling", {"model": "plain", "input": "a"})
    same((answer.status, answer.body), (404, b'{"detail":"Not Found"}'), "the answer")


@case("a request without a model is refused where there are several routes", "/detokenize")
def no_model_several_routes(at):
    refused(at.post("/detokenize", {"tokens": [1]}), 400, "model_missing", at.id)


@case("the models are the routes', with what their engines say of them", "/v1/models")
def models(at):
    page = at.ask(get("/v1/models"), "GET").json()
    cards = {card["id"]: card for card in page["data"]}
    same((page["object"], sorted(cards)), ("list", sorted(("pair", "plain", "misfit", "recorded", "kept", "gone", "lost"))), "the models")
    same((cards["pair"]["owned_by"], cards["pair"]["root"], cards["recorded"]["owned_by"]), ("vllm", "pair", "millrace"), "who owns them")
    assert cards["pair"]["max_model_len"] > 0, f"the model's length is {cards['pair']}"


@case("one model is its card of the list; an unknown one 404", "/v1/models/NAME")
def model(at):
    def got(path):
        return at.ask(get(path, f"x-request-id: {at.id}"), "GET")
    same(got("/v1/models/pair").json(), next(card for card in got("/v1/models").json()["data"] if card["id"] == "pair"), "the card")
    same(got("/v1/models/p%61ir").json()["id"], "pair", "the card of an escaped name")
    refused(got("/v1/models/nobody%2Fmodel"), 404, "model_not_found", at.id)
    within(got("/v1/models/nobody%2Fmodel").error()["message"], "nobody/model", "the message")
