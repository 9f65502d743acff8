// Slices as a page holds them (`series.rs` writes them): base64 of a zlib stream of residuals.

// The bytes of base64.
const decoded = (base64) => {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
};

// A zlib stream (RFC 1950, 1951) of `size` bytes with its checksum. The browser's own streams are asynchronous and missing in
// older browsers; this is the same in all of them, and at once.
const inflated = (from, size) => {
  const LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
  const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
  const DISTANCES = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577];
  const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
  const damaged = () => new Error("these pixels are damaged");
  const out = new Uint8Array(size);
  let at = 2, put = 0, hold = 0, held = 0;
  const fill = (n) => { while (held < n && at < from.length) { hold |= from[at++] << held; held += 8; } };
  const bits = (n) => {
    fill(n);
    if (held < n) throw damaged();
    const value = hold & ((1 << n) - 1);
    hold >>>= n; held -= n;
    return value;
  };
  // Every word of up to the longest code's bits to its symbol and length.
  const table = (lengths) => {
    const longest = Math.max(1, ...lengths);
    const count = new Uint16Array(17), next = new Uint16Array(17), entries = new Uint32Array(1 << longest);
    for (const length of lengths) if (length) count[length]++;
    for (let length = 1; length < 16; length++) next[length] = (next[length - 1] + count[length - 1]) << 1;
    lengths.forEach((length, symbol) => {
      if (!length) return;
      let code = next[length]++, reversed = 0;
      for (let i = 0; i < length; i++) { reversed = reversed << 1 | code & 1; code >>= 1; }
      for (let i = reversed; i < entries.length; i += 1 << length) entries[i] = symbol << 4 | length;
    });
    return { entries, longest };
  };
  const symbol = ({ entries, longest }) => {
    fill(longest);
    const entry = entries[hold & entries.length - 1], length = entry & 15;
    if (!length || length > held) throw damaged();
    hold >>>= length; held -= length;
    return entry >> 4;
  };
  const fixed = () => [table([...Array(288).keys()].map((n) => n < 144 ? 8 : n < 256 ? 9 : n < 280 ? 7 : 8)), table(Array(30).fill(5))];
  const dynamic = () => {
    const [literals, distances, codes] = [257 + bits(5), 1 + bits(5), 4 + bits(4)];
    const own = Array(19).fill(0);
    for (let i = 0; i < codes; i++) own[ORDER[i]] = bits(3);
    const by = table(own), lengths = [];
    while (lengths.length < literals + distances) {
      const word = symbol(by);
      if (word < 16) lengths.push(word);
      else {
        const [value, times] = word === 16 ? [lengths[lengths.length - 1], 3 + bits(2)] : [0, word === 17 ? 3 + bits(3) : 11 + bits(7)];
        for (let i = 0; i < times; i++) lengths.push(value);
      }
    }
    return [table(lengths.slice(0, literals)), table(lengths.slice(literals, literals + distances))];
  };
  for (let last = false; !last;) {
    last = bits(1) === 1;
    const kind = bits(2);
    if (kind === 0) {
      bits(held % 8);
      const length = bits(8) | bits(8) << 8;
      bits(8); bits(8);
      for (let i = 0; i < length; i++) out[put++] = bits(8);
      continue;
    }
    if (kind === 3) throw damaged();
    const [literals, distances] = kind === 1 ? fixed() : dynamic();
    for (let word = symbol(literals); word !== 256; word = symbol(literals)) {
      if (word < 256) { out[put++] = word; continue; }
      const length = LENGTHS[word - 257] + bits(LENGTH_BITS[word - 257]);
      const far = symbol(distances);
      const back = DISTANCES[far] + bits(far < 2 ? 0 : (far >> 1) - 1);
      if (!(back <= put) || put + length > size) throw damaged();
      for (let i = 0; i < length; i++, put++) out[put] = out[put - back];
    }
  }
  bits(held % 8);
  let [a, b] = [1, 0];
  for (let i = 0; i < size; i++) { a += out[i]; if (a >= 65521) a -= 65521; b += a; if (b >= 65521) b -= 65521; }
  const sum = bits(8) * 2 ** 24 + bits(8) * 2 ** 16 + bits(8) * 2 ** 8 + bits(8);
  if (put !== size || sum !== b * 65536 + a) throw damaged();
  return out;
};

// The numbers of slice `n` of a series: 16-bit grey, or 8-bit grey or colour plane after plane. A number is what its left, upper
// and upper left neighbours predict plus a residual, of which the low bytes stand before the high ones.
const unpacked = (series, n) => {
  const { width, height, channels, bytes } = series;
  const size = width * height, all = size * channels, mask = bytes === 2 ? 65535 : 255;
  const packed = inflated(decoded(series.slices[n]), all * bytes);
  const numbers = bytes === 2 ? new Uint16Array(all) : new Uint8Array(all);
  for (let plane = 0; plane < channels; plane++) {
    for (let y = 0, i = plane * size; y < height; y++) {
      for (let x = 0, left = 0, before = 0; x < width; x++, i++) {
        const up = y ? numbers[i - width] : 0;
        const residual = bytes === 2 ? packed[i] | packed[i + all] << 8 : packed[i];
        left = left + up - before + (residual >>> 1 ^ -(residual & 1)) & mask;
        before = up;
        numbers[i] = left;
      }
    }
  }
  return numbers;
};
