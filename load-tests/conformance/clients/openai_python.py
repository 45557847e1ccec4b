"""The official client for Python."""
import openai

from plan import main, prompt_tokens, same

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
MODELS = ["gone", "kept", "lost", "misfit", "pair", "plain", "recorded"]
TOKENS = 8


def client(url, case):
    return openai.OpenAI(base_url=f"{url}/v1", api_key="not-checked", max_retries=0, timeout=20, default_headers={"x-request-id": case["id"]})


def text_of(case):
    return f"Mills of {case['id']} é"


def call(url, case, tokens=TOKENS, **members):
    """The request of a case, streamed or not."""
    asked = {"model": case["model"], "temperature": 0} | members
    if case["stream"]:
        asked["stream"] = True
        if case["api"] != RESPONSES:
            asked["stream_options"] = {"include_usage": True}
    if case["api"] == CHAT:
        return client(url, case).chat.completions.create(messages=[{"role": "user", "content": text_of(case)}], max_completion_tokens=tokens, **asked)
    if case["api"] == COMPLETIONS:
        return client(url, case).completions.create(prompt=text_of(case), max_tokens=tokens, **asked)
    if case["api"] == RESPONSES:
        return client(url, case).responses.create(input=text_of(case), max_output_tokens=tokens, **asked)
    return client(url, case).embeddings.create(input=["a", "b"], encoding_format="float", **{"model": case["model"]} | {
        name: value for name, value in members.items() if name == "extra_body"})


def outcome(case, answer):
    """Texts, ends, log-probabilities and usage of an answer, however it came."""
    if case["api"] == RESPONSES:
        return of_response(case, answer)
    if not case["stream"]:
        texts = [choice.message.content if case["api"] == CHAT else choice.text for choice in answer.choices]
        same([choice.index for choice in answer.choices], list(range(len(texts))), "the indexes")
        return {"texts": texts, "ends": [choice.finish_reason for choice in answer.choices], "logprobs": [likely(case, each.logprobs) for each in answer.choices],
                "usage": (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens)}
    texts, ends, logprobs, usages = {}, {}, {}, []
    with answer as stream:
        for event in stream:
            same(event.object, "chat.completion.chunk" if case["api"] == CHAT else "text_completion", "object")
            usages += [event.usage] if event.usage else []
            for choice in event.choices:
                text = (choice.delta.content if case["api"] == CHAT else choice.text) or ""
                texts[choice.index] = texts.get(choice.index, "") + text
                ends[choice.index] = choice.finish_reason or ends.get(choice.index)
                logprobs.setdefault(choice.index, []).extend(likely(case, choice.logprobs))
    same(len(usages), 1, "the number of events with usage")
    ordered = sorted(texts)
    return {"texts": [texts[i] for i in ordered], "ends": [ends[i] for i in ordered], "logprobs": [logprobs[i] for i in ordered],
            "usage": (usages[0].prompt_tokens, usages[0].completion_tokens, usages[0].total_tokens)}


def of_response(case, answer):
    if case["stream"]:
        with answer as stream:
            events = list(stream)
        same([event.sequence_number for event in events], list(range(len(events))), "the events' numbers")
        deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        same(events[-1].type, "response.completed", "the last event")
        answer = events[-1].response
        same(deltas, answer.output_text, "the text of the deltas")
    return {"texts": [answer.output_text], "ends": [answer.status], "logprobs": [],
            "usage": (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens)}


def likely(case, logprobs):
    if logprobs is None:
        return []
    if case["api"] == CHAT:
        return [(each.token, each.logprob, [(other.token, other.logprob) for other in each.top_logprobs]) for each in logprobs.content]
    return list(zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs))


def compared(plan, case, **members):
    """The answer through Millrace, which must be one engine's."""
    answer = call(plan.router, case, **members)
    if not case["stream"]:
        same(answer._request_id, case["id"], "the request's id")
    found = outcome(case, answer)
    same(found, outcome(case, call(plan.engines[case["model"]], case, **members)), "the answer")
    return found


def answer(plan, case):
    found = compared(plan, case)
    prompt = prompt_tokens(text_of(case), case["api"] != COMPLETIONS)
    same(found["usage"], (prompt, TOKENS, prompt + TOKENS), "usage")
    same(found["ends"], ["incomplete" if case["api"] == RESPONSES else "length"], "how it ends")
    same(len(found["texts"][0].split()), TOKENS, "the number of words")


def several(plan, case):
    found = compared(plan, case, n=3, temperature=1)
    prompt = prompt_tokens(text_of(case), case["api"] != COMPLETIONS)
    same(found["usage"], (prompt, 3 * TOKENS, prompt + 3 * TOKENS), "usage")
    same((len(set(found["texts"])), found["ends"]), (3, ["length"] * 3), "the answers")


def stop(plan, case):
    whole = outcome(case, call(plan.engines[case["model"]], case))["texts"][0]
    word = whole.split()[4]
    found = compared(plan, case, stop=[word])
    same((found["texts"], found["ends"]), ([whole[:whole.index(word)]], ["stop"]), "the answer")


def logprobs(plan, case):
    found = compared(plan, case, **({"logprobs": True, "top_logprobs": 2} if case["api"] == CHAT else {"logprobs": 2}))["logprobs"][0]
    same(len(found), TOKENS, "the number of tokens with log-probabilities")
    for token, logprob, alternatives in found:
        assert logprob <= 0, f"the log-probability of {token!r} is {logprob}"
        assert len(alternatives) in (2, 3), f"the alternatives of {token!r} are {alternatives}"


def tools(plan, case):
    offered = [{"type": "function", "function": {"name": "weather", "description": "Größe", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
    answer = client(plan.router, case).chat.completions.create(
        model=case["model"], messages=[{"role": "user", "content": "How warm?"}], tools=offered, tool_choice="auto", stream=case["stream"],
        extra_headers={"x-script": "tools"})
    if case["stream"]:
        with answer as stream:
            choices = [choice for event in stream for choice in event.choices]
        calls = [call for choice in choices for call in choice.delta.tool_calls or []]
        found, end = (calls[0].id, calls[0].function.name, "".join(call.function.arguments for call in calls)), choices[-1].finish_reason
    else:
        call, end = answer.choices[0].message.tool_calls[0], answer.choices[0].finish_reason
        found = (call.id, call.function.name, call.function.arguments)
    same((found, end), (("call_1", "weather", '{"city":"Köln"}'), "tool_calls"), "the call")
    legs = plan.recorded(case["id"])
    same(len(legs), 2 if case["model"] == "recorded" else 1, "the number of legs")
    for leg in legs:
        same((leg["body"]["tools"], leg["body"]["tool_choice"]), (offered, "auto"), f"the tools at the {leg['role']} worker")


def alone(plan, case):
    compared(plan, case, **({"truncation": "auto"} if case["api"] == RESPONSES else {"extra_body": {"truncate_prompt_tokens": -1}}))


def models(plan, case):
    own = client(plan.router, case)
    same(sorted(model.id for model in own.models.list()), MODELS, "the models")
    same((own.models.retrieve("pair").id, own.models.retrieve("pair").owned_by), ("pair", "vllm"), "one model")
    status(lambda: own.models.retrieve("nobody"), openai.NotFoundError, 404, "model_not_found", case)


def embeddings(plan, case):
    answer = client(plan.router, case).embeddings.create(model=case["model"], input=["a", "b"], encoding_format="float")
    same([each.embedding for each in answer.data], [[0.5, -0.25, 0.0], [0.5, -0.25, 1.0]], "the embeddings")
    same(plan.recorded(case["id"])[0]["body"], {"model": "kept", "input": ["a", "b"], "encoding_format": "float"}, "what the engine got")


def status(ask, kind, expected, code, case):
    """The error that a call must raise."""
    try:
        ask()
    except openai.APIStatusError as error:
        same((type(error), error.status_code, error.code, error.request_id), (kind, expected, code, case["id"]), "class, status, code and id")
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def unknown(plan, case):
    error = status(lambda: call(plan.router, case | {"model": "nobody"}), openai.NotFoundError, 404, "model_not_found", case)
    assert case["id"] in error.message and "nobody" in error.message, error.message


def bad(plan, case):
    wrong = {"stream": "yes"}
    status(lambda: call(plan.router, case, extra_body=wrong), openai.BadRequestError, 400, "invalid_type", case)


def too_many(plan, case):
    error = status(lambda: call(plan.router, case, tokens=10_000_000), openai.BadRequestError, 400, "400", case)
    assert "maximum context length" in error.message, error.message


def gone(plan, case):
    error = status(lambda: call(plan.router, case), openai.InternalServerError, 503, "decode_unreachable", case)
    same(error.response.headers["retry-after"], "1", "retry-after")


def dies(plan, case):
    try:
        for _ in call(plan.router, case, extra_headers={"x-script": "dies"}):
            pass
    except openai.APIError as error:
        same(error.code, "decode_broken", "code")
        assert case["id"] in error.message, error.message
        return
    raise AssertionError("the stream ended as if nothing were wrong")


def leaves(plan, case):
    with call(plan.router, case, tokens=2000) as stream:
        for event in stream:
            if event.choices:
                break


if __name__ == "__main__":
    main({"answer": answer, "n": several, "stop": stop, "logprobs": logprobs, "tools": tools, "alone": alone, "models": models,
          "embeddings": embeddings, "unknown": unknown, "bad": bad, "too-many": too_many, "gone": gone, "dies": dies, "leaves": leaves})
