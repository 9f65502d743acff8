// `loupe serve` through the official Node client: chat with a picture, pieces, errors.
//
//     npm install openai
//     cargo build
//     node crates/serve/tests/clients/openai_node.mjs target/debug/loupe [MODEL_DIR]
//
// Run it where `openai` is installed. Without a folder the built-in model is served. Fails at the first thing that is not as it should be.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const OpenAI = createRequire(process.cwd() + "/")("openai");
const [binary, folder] = process.argv.slice(2);
// A grey pixel.
const picture = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";
const server = spawn(binary, ["serve", "--port", "0", ...(folder ? ["--model", folder] : [])], { stdio: ["ignore", "pipe", "inherit"] });
const baseURL = await new Promise((found) => createInterface({ input: server.stdout }).once("line", found));
try {
  const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  const model = (await client.models.list()).data[0].id;
  const messages = [{ role: "user", content: [{ type: "image_url", image_url: { url: picture } }, { type: "text", text: "What is shown?" }] }];
  const whole = await client.chat.completions.create({ model, messages, max_completion_tokens: 8 });
  assert.ok(whole.usage.prompt_tokens > 0);
  let text = "";
  for await (const piece of await client.chat.completions.create({ model, messages, max_completion_tokens: 8, stream: true })) {
    text += piece.choices[0]?.delta?.content ?? "";
  }
  assert.equal(text, whole.choices[0].message.content);
  await assert.rejects(client.chat.completions.create({ model, messages, n: 2 }), (e) => e.status === 400 && e.param === "n");
  const leaving = new AbortController();
  const left = client.chat.completions.create({ model, messages }, { signal: leaving.signal });
  leaving.abort();
  await assert.rejects(left);
  console.log("well:", baseURL, model);
} finally {
  server.kill("SIGTERM");
}
