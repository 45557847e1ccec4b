// Usage: node client.mjs BASE_URL MODEL
// Asks a running endpoint what a client asks, in one piece, as a stream, and wrongly; exits 0 if all is as it should be.
import assert from "node:assert/strict";
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
assert.ok(baseURL && model, "usage: node client.mjs BASE_URL MODEL");

const client = new OpenAI({ baseURL, apiKey: "not-checked", maxRetries: 0, timeout: 20_000 });
const messages = [{ role: "user", content: "Say something about mills." }];

async function step(name, check) {
  await check();
  console.log(`ok ${name}`);
}

let unary;

await step("chat, in one piece", async () => {
  unary = await client.chat.completions.create({ model, messages, max_tokens: 12, temperature: 0 });
  assert.equal(unary.object, "chat.completion");
  assert.equal(unary.model, model);
  assert.ok(unary.choices[0].message.content.length > 0);
  assert.equal(unary.choices[0].finish_reason, "length");
  assert.equal(unary.usage.completion_tokens, 12);
  assert.ok(!("kv_transfer_params" in unary) || unary.kv_transfer_params === null);
});

await step("chat, as a stream", async () => {
  const stream = await client.chat.completions.create({
    model, messages, max_tokens: 12, temperature: 0, stream: true, stream_options: { include_usage: true },
  });
  let text = "";
  let pieces = 0;
  let finish = null;
  let usage = null;
  for await (const chunk of stream) {
    assert.equal(chunk.object, "chat.completion.chunk");
    const delta = chunk.choices[0]?.delta?.content;
    if (delta) {
      text += delta;
      pieces++;
    }
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, unary.choices[0].message.content, "streamed and unary answers differ");
  assert.ok(pieces > 1, "the stream came in one piece");
  assert.equal(finish, "length");
  assert.equal(usage.completion_tokens, 12);
});

await step("completions, in one piece", async () => {
  const answer = await client.completions.create({ model, prompt: "Once upon a time", max_tokens: 5, temperature: 0 });
  assert.equal(answer.object, "text_completion");
  assert.equal(answer.usage.completion_tokens, 5);
});

await step("unknown model", async () => {
  await assert.rejects(
    client.chat.completions.create({ model: "no-such-model", messages }),
    (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError, `${error}`);
      assert.equal(error.status, 404);
      assert.match(error.message, /no-such-model/);
      return true;
    },
  );
});

await step("leaving a stream", async () => {
  const stream = await client.chat.completions.create({ model, messages, max_tokens: 200, temperature: 0, stream: true });
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content) {
      break;
    }
  }
});
