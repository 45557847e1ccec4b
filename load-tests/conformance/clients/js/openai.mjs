// The official client from npm: node openai.mjs PLAN. Is told a case, a line, and says what came of it, a line.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import OpenAI from "openai";

const CHAT = "/v1/chat/completions", COMPLETIONS = "/v1/completions", RESPONSES = "/v1/responses";
const MODELS = ["gone", "kept", "lost", "misfit", "pair", "plain", "recorded"];
const TOKENS = 8;
const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));

function client(url, one) {
  return new OpenAI({
    baseURL: `${url}/v1`, apiKey: "not-checked", maxRetries: 0, timeout: 20_000, defaultHeaders: { "x-request-id": one.id },
  });
}

const textOf = (one) => `Mills of ${one.id} é`;

// The simulated model has a token for each byte, and its template puts some around a message.
function promptTokens(one) {
  const text = one.api === COMPLETIONS ? textOf(one) : `<|user|>\n${textOf(one)}\n<|assistant|>\n`;
  return Buffer.byteLength(text);
}

// The request of a case, streamed or not; a promise of the client's own kind.
function call(url, one, { tokens = TOKENS, headers = {}, ...members } = {}) {
  const asked = { model: one.model, temperature: 0 };
  if (one.stream) {
    asked.stream = true;
    if (one.api !== RESPONSES) {
      asked.stream_options = { include_usage: true };
    }
  }
  const options = { headers };
  switch (one.api) {
    case CHAT:
      return client(url, one).chat.completions.create(
        { ...asked, messages: [{ role: "user", content: textOf(one) }], max_completion_tokens: tokens, ...members }, options);
    case COMPLETIONS:
      return client(url, one).completions.create({ ...asked, prompt: textOf(one), max_tokens: tokens, ...members }, options);
    case RESPONSES:
      return client(url, one).responses.create({ ...asked, input: textOf(one), max_output_tokens: tokens, ...members }, options);
    default:
      return client(url, one).embeddings.create({ model: one.model, input: ["a", "b"], encoding_format: "float" }, options);
  }
}

function likely(one, logprobs) {
  if (!logprobs) {
    return [];
  }
  return one.api === CHAT
    ? logprobs.content.map((each) => [each.token, each.logprob, each.top_logprobs.map((other) => [other.token, other.logprob])])
    : logprobs.tokens.map((token, i) => [token, logprobs.token_logprobs[i], Object.entries(logprobs.top_logprobs[i])]);
}

const counts = (usage) => [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens];

// Texts, ends, log-probabilities and usage of an answer, however it came.
async function outcome(one, answer) {
  if (one.api === RESPONSES) {
    return ofResponse(one, answer);
  }
  if (!one.stream) {
    assert.deepEqual(answer.choices.map((choice) => choice.index), [...answer.choices.keys()]);
    return {
      texts: answer.choices.map((choice) => (one.api === CHAT ? choice.message.content : choice.text)),
      ends: answer.choices.map((choice) => choice.finish_reason),
      logprobs: answer.choices.map((choice) => likely(one, choice.logprobs)),
      usage: counts(answer.usage),
    };
  }
  const said = { texts: [], ends: [], logprobs: [], usage: null };
  let usages = 0;
  for await (const event of answer) {
    assert.equal(event.object, one.api === CHAT ? "chat.completion.chunk" : "text_completion");
    if (event.usage) {
      usages++;
      said.usage = counts(event.usage);
    }
    for (const choice of event.choices) {
      const i = choice.index;
      said.texts[i] = (said.texts[i] ?? "") + ((one.api === CHAT ? choice.delta.content : choice.text) ?? "");
      said.ends[i] = choice.finish_reason ?? said.ends[i];
      said.logprobs[i] = [...(said.logprobs[i] ?? []), ...likely(one, choice.logprobs)];
    }
  }
  assert.equal(usages, 1, "the number of events with usage");
  return said;
}

async function ofResponse(one, answer) {
  let whole = answer, text = answer.output_text;
  if (one.stream) {
    const events = [];
    for await (const event of answer) {
      events.push(event);
    }
    assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()], "the events' numbers");
    assert.equal(events.at(-1).type, "response.completed");
    whole = events.at(-1).response;
    text = whole.output[0].content[0].text;
    assert.equal(events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta).join(""), text);
  }
  return { texts: [text], ends: [whole.status], logprobs: [], usage: [whole.usage.input_tokens, whole.usage.output_tokens, whole.usage.total_tokens] };
}

// The answer through Millrace, which must be one engine's.
async function compared(one, members) {
  const answer = await call(plan.router, one, members);
  if (!one.stream) {
    assert.equal(answer._request_id, one.id, "the request's id");
  }
  const found = await outcome(one, answer);
  assert.deepEqual(found, await outcome(one, await call(plan.engines[one.model], one, members)));
  return found;
}

// The error that a call must raise.
async function status(ask, kind, expected, code, one) {
  const error = await ask().then(() => assert.fail(`no ${kind.name} was raised`), (raised) => raised);
  assert.ok(error instanceof kind, `${error}`);
  assert.deepEqual([error.status, error.code, error.requestID], [expected, code, one.id]);
  return error;
}

async function recorded(id) {
  const legs = await (await fetch(`${plan.recorder}/recorded/${id}`)).json();
  return legs.map((leg) => ({ ...leg, body: JSON.parse(leg.body) }));
}

const kinds = {
  async answer(one) {
    const found = await compared(one);
    const prompt = promptTokens(one);
    assert.deepEqual(found.usage, [prompt, TOKENS, prompt + TOKENS]);
    assert.deepEqual(found.ends, [one.api === RESPONSES ? "incomplete" : "length"]);
    assert.equal(found.texts[0].trim().split(" ").length, TOKENS);
  },
  async n(one) {
    const found = await compared(one, { n: 3, temperature: 1 });
    const prompt = promptTokens(one);
    assert.deepEqual(found.usage, [prompt, 3 * TOKENS, prompt + 3 * TOKENS]);
    assert.deepEqual([new Set(found.texts).size, found.ends], [3, ["length", "length", "length"]]);
  },
  async stop(one) {
    const whole = (await outcome(one, await call(plan.engines[one.model], one))).texts[0];
    const word = whole.trim().split(" ")[4];
    const found = await compared(one, { stop: [word] });
    assert.deepEqual([found.texts, found.ends], [[whole.slice(0, whole.indexOf(word))], ["stop"]]);
  },
  async logprobs(one) {
    const found = (await compared(one, one.api === CHAT ? { logprobs: true, top_logprobs: 2 } : { logprobs: 2 })).logprobs[0];
    assert.equal(found.length, TOKENS);
    for (const [token, logprob, alternatives] of found) {
      assert.ok(logprob <= 0 && alternatives.length >= 2, `${token} ${logprob} ${alternatives}`);
    }
  },
  async tools(one) {
    const tools = [{
      type: "function",
      function: {
        name: "weather", description: "Größe",
        parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      },
    }];
    const answer = await client(plan.router, one).chat.completions.create(
      { model: one.model, messages: [{ role: "user", content: "How warm?" }], tools, tool_choice: "auto", stream: one.stream },
      { headers: { "x-script": "tools" } });
    let calls, end;
    if (one.stream) {
      const choices = [];
      for await (const event of answer) {
        choices.push(...event.choices);
      }
      const parts = choices.flatMap((choice) => choice.delta.tool_calls ?? []);
      calls = [parts[0].id, parts[0].function.name, parts.map((part) => part.function.arguments).join("")];
      end = choices.at(-1).finish_reason;
    } else {
      const [made] = answer.choices[0].message.tool_calls;
      calls = [made.id, made.function.name, made.function.arguments];
      end = answer.choices[0].finish_reason;
    }
    assert.deepEqual([calls, end], [["call_1", "weather", '{"city":"Köln"}'], "tool_calls"]);
    const legs = await recorded(one.id);
    assert.equal(legs.length, one.model === "recorded" ? 2 : 1);
    for (const leg of legs) {
      assert.deepEqual([leg.body.tools, leg.body.tool_choice], [tools, "auto"], `the tools at the ${leg.role} worker`);
    }
  },
  async alone(one) {
    await compared(one, one.api === RESPONSES ? { truncation: "auto" } : { truncate_prompt_tokens: -1 });
  },
  async models(one) {
    const own = client(plan.router, one), found = [];
    for await (const model of own.models.list()) {
      found.push(model.id);
    }
    assert.deepEqual(found.sort(), MODELS);
    const pair = await own.models.retrieve("pair");
    assert.deepEqual([pair.id, pair.owned_by], ["pair", "vllm"]);
    await status(() => own.models.retrieve("nobody"), OpenAI.NotFoundError, 404, "model_not_found", one);
  },
  async embeddings(one) {
    const answer = await call(plan.router, one);
    assert.deepEqual(answer.data.map((each) => each.embedding), [[0.5, -0.25, 0], [0.5, -0.25, 1]]);
    assert.deepEqual((await recorded(one.id))[0].body, { model: "kept", input: ["a", "b"], encoding_format: "float" });
  },
  async unknown(one) {
    const error = await status(() => call(plan.router, { ...one, model: "nobody" }), OpenAI.NotFoundError, 404, "model_not_found", one);
    assert.ok(error.message.includes(one.id) && error.message.includes("nobody"), error.message);
  },
  async bad(one) {
    await status(() => call(plan.router, one, { stream: "yes" }), OpenAI.BadRequestError, 400, "invalid_type", one);
  },
  async "too-many"(one) {
    const error = await status(() => call(plan.router, one, { tokens: 10_000_000 }), OpenAI.BadRequestError, 400, 400, one);
    assert.match(error.message, /maximum context length/);
  },
  async gone(one) {
    const error = await status(() => call(plan.router, one), OpenAI.InternalServerError, 503, "decode_unreachable", one);
    assert.equal(error.headers.get("retry-after"), "1");
  },
  async dies(one) {
    const error = await (async () => {
      for await (const event of await call(plan.router, one, { headers: { "x-script": "dies" } })) {
        assert.ok(event);
      }
    })().then(() => assert.fail("the stream ended as if nothing were wrong"), (raised) => raised);
    assert.ok(error instanceof OpenAI.APIError, `${error}`);
    assert.equal(error.code, "decode_broken");
    assert.ok(error.message.includes(one.id), error.message);
  },
  async leaves(one) {
    for await (const event of await call(plan.router, one, { tokens: 2000 })) {
      if (event.choices.length > 0) {
        break;
      }
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const one = JSON.parse(line);
  const failure = await kinds[one.kind](one).then(() => null, (error) => `${error.name}: ${error.message}`);
  console.log(`CASE ${JSON.stringify(failure)}`);
}
