// The llama.cpp side of tokens.py: a packaged llama.cpp with a kernel for each processor, one prompt at a time.
//
//     npm install --ignore-scripts node-llama-cpp      (in the folder that NODE_LLAMA_CPP names)
//     node llama_cpp.mjs FILE.gguf TOKENS NEW ROUNDS THREADS
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const [file, ...numbers] = process.argv.slice(2);
const [tokens, fresh, rounds, threads] = numbers.map(Number);
const where = createRequire(`${process.env.NODE_LLAMA_CPP ?? process.cwd()}/`).resolve("node-llama-cpp");
const {getLlama} = await import(pathToFileURL(where));

const llama = await getLlama({gpu: false, build: "never", progressLogs: false, logLevel: "error", maxThreads: threads});
const began = performance.now();
const model = await llama.loadModel({modelPath: file, gpuLayers: 0});
const context = await model.createContext({contextSize: tokens + fresh + 8, batchSize: tokens, threads});
const sequence = context.getSequence();
const seconds = (from) => (performance.now() - from) / 1e3;
const result = {prefill: [], decode: [], load_s: seconds(began)};
for (let round = 0; round < rounds; round++) {
    await sequence.clearHistory();
    const prompt = Array.from({length: tokens}, (_, at) => 300 + (at * 6151 + round) % 20000);
    let from = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(prompt);
    result.prefill.push(tokens / seconds(from));
    from = performance.now();
    let count = 0;
    // The end token of the checkpoint means nothing here: every round decodes the same number.
    for await (const _ of sequence.evaluate([301], {temperature: 0, yieldEogToken: true})) if (++count === fresh) break;
    result.decode.push(count / seconds(from));
}
result.peak_mib = process.resourceUsage().maxRSS / 1024;
console.log(JSON.stringify(result));
process.exit(0);
