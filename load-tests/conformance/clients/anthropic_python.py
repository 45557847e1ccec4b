"""Anthropic's official client for Python."""
import anthropic

from plan import main, prompt_tokens, same

TOKENS = 8


def client(url, case):
    return anthropic.Anthropic(base_url=url, api_key="not-checked", max_retries=0, timeout=20, default_headers={"x-request-id": case["id"]})


def text_of(case):
    return f"Mills of {case['id']} é"


def call(url, case, tokens=TOKENS, engine=None, **members):
    asked = {"model": case["model"], "messages": [{"role": "user", "content": text_of(case)}], "max_tokens": tokens} | members
    if case["stream"]:
        return client(url, case).messages.create(stream=True, **asked)
    # This client looks for an id of Anthropic's own in the head; Millrace's is beside it.
    raw = client(url, case).messages.with_raw_response.create(**asked)
    if url != engine:
        same(raw.headers["x-request-id"], case["id"], "the request's id")
    return raw.parse()


def outcome(case, answer):
    """Text, end and usage of an answer, however it came."""
    if not case["stream"]:
        same((answer.role, answer.content[0].type), ("assistant", "text"), "role and kind")
        return {"text": answer.content[0].text, "end": (answer.stop_reason, answer.stop_sequence),
                "usage": (answer.usage.input_tokens, answer.usage.output_tokens)}
    with answer as stream:
        events = list(stream)
    kinds = [event.type for event in events]
    same(kinds, ["message_start", "content_block_start", *["content_block_delta"] * (len(kinds) - 5), "content_block_stop", "message_delta", "message_stop"],
         "the events")
    last = events[-2]
    return {"text": "".join(event.delta.text for event in events if event.type == "content_block_delta"),
            "end": (last.delta.stop_reason, last.delta.stop_sequence), "usage": (last.usage.input_tokens, last.usage.output_tokens)}


def compared(plan, case, **members):
    """The answer through Millrace, which must be one engine's."""
    answer = call(plan.router, case, **members)
    found = outcome(case, answer)
    same(found, outcome(case, call(plan.engines[case["model"]], case, engine=plan.engines[case["model"]], **members)), "the answer")
    return found


def answer(plan, case):
    found = compared(plan, case)
    same(found["usage"], (prompt_tokens(text_of(case)), TOKENS), "usage")
    same((found["end"], len(found["text"].split())), (("max_tokens", None), TOKENS), "how it ends")


def stop(plan, case):
    whole = outcome(case, call(plan.engines[case["model"]], case, engine=plan.engines[case["model"]]))["text"]
    word = whole.split()[4]
    found = compared(plan, case, stop_sequences=[word])
    same((found["text"], found["end"]), (whole[:whole.index(word)], ("stop_sequence", word)), "the answer")


def tools(plan, case):
    offered = [{"name": "weather", "description": "Größe", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]
    answer = call(plan.router, case, tools=offered, extra_headers={"x-script": "tools"})
    used = answer.content[0]
    same((used.type, used.id, used.name, used.input, answer.stop_reason), ("tool_use", "call_1", "weather", {"city": "Köln"}, "tool_use"), "the call")
    legs = plan.recorded(case["id"])
    same(len(legs), 2 if case["model"] == "recorded" else 1, "the number of legs")
    for leg in legs:
        same(leg["body"]["tools"], offered, f"the tools at the {leg['role']} worker")


def count(plan, case):
    counted = client(plan.router, case).messages.count_tokens(model=case["model"], messages=[{"role": "user", "content": "a"}])
    same(counted.input_tokens, 9, "the count")


def status(ask, kind, expected, code, case):
    """The error that a call must raise, in Anthropic's form."""
    try:
        ask()
    except anthropic.APIStatusError as error:
        same((type(error), error.status_code, error.response.headers["x-request-id"]), (kind, expected, case["id"]), "class, status and id")
        same((error.body["type"], error.body["error"].get("code")), ("error", code), "the error's type and code")
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def unknown(plan, case):
    error = status(lambda: call(plan.router, case | {"model": "nobody"}), anthropic.NotFoundError, 404, "model_not_found", case)
    same(error.body["error"]["type"], "not_found_error", "the error's type")


def bad(plan, case):
    error = status(lambda: call(plan.router, case, extra_body={"stream": "yes"}), anthropic.BadRequestError, 400, "invalid_type", case)
    same(error.body["error"]["type"], "invalid_request_error", "the error's type")


def too_many(plan, case):
    error = status(lambda: call(plan.router, case, tokens=10_000_000), anthropic.BadRequestError, 400, None, case)
    assert "maximum context length" in error.body["error"]["message"], error.body


def gone(plan, case):
    status(lambda: call(plan.router, case), anthropic.ServiceUnavailableError, 503, "decode_unreachable", case)


def dies(plan, case):
    try:
        for _ in call(plan.router, case, extra_headers={"x-script": "dies"}):
            pass
    except anthropic.APIError as error:
        same((error.body["type"], error.body["error"]["code"]), ("error", "decode_broken"), "the error's type and code")
        return
    raise AssertionError("the stream ended as if nothing were wrong")


def leaves(plan, case):
    with call(plan.router, case, tokens=2000) as stream:
        for event in stream:
            if event.type == "content_block_delta":
                break


if __name__ == "__main__":
    main({"answer": answer, "stop": stop, "tools": tools, "count": count, "unknown": unknown, "bad": bad, "too-many": too_many, "gone": gone,
          "dies": dies, "leaves": leaves})
