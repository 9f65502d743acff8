// SHA-256 (FIPS 180-4) of text as UTF-8, in hexadecimal. The browser's own is asynchronous, and a chain of answers must not be
// overtaken by the next key.
const sha256 = (() => {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const part = (x) => Math.floor((x - Math.floor(x)) * 2 ** 32);
  const K = primes.map((p) => part(Math.cbrt(p))), START = primes.slice(0, 8).map((p) => part(Math.sqrt(p)));
  const turn = (x, n) => x >>> n | x << 32 - n;
  return (text) => {
    const given = new TextEncoder().encode(text);
    const blocks = new Uint8Array((given.length + 72) >> 6 << 6);
    blocks.set(given);
    blocks[given.length] = 128;
    const view = new DataView(blocks.buffer), w = new Int32Array(64), state = Int32Array.from(START);
    view.setUint32(blocks.length - 8, Math.floor(given.length / 2 ** 29));
    view.setUint32(blocks.length - 4, given.length << 3);
    for (let at = 0; at < blocks.length; at += 64) {
      for (let i = 0; i < 16; i++) w[i] = view.getInt32(at + 4 * i);
      for (let i = 16; i < 64; i++) {
        const [a, b] = [w[i - 15], w[i - 2]];
        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >>> 3) + w[i - 7] + (turn(b, 17) ^ turn(b, 19) ^ b >>> 10);
      }
      let [a, b, c, d, e, f, g, h] = state;
      for (let i = 0; i < 64; i++) {
        const t = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (e & f ^ ~e & g) + K[i] + w[i] | 0;
        const u = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + (a & b ^ a & c ^ b & c);
        [h, g, f, e, d, c, b, a] = [g, f, e, d + t | 0, c, b, a, t + u | 0];
      }
      [a, b, c, d, e, f, g, h].forEach((v, i) => { state[i] += v; });
    }
    return Array.from(state, (v) => (v >>> 0).toString(16).padStart(8, "0")).join("");
  };
})();
